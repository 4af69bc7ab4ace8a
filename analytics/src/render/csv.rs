//! Reports as CSV (RFC 4180), safe to open in a spreadsheet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::overview::Overview;
use crate::printable::printable;
use crate::report::{Report, Totals};

const HEADER: &str = "key,messages,input_tokens,output_tokens,cache_write_5m_tokens,cache_write_1h_tokens,\
                      cache_read_tokens,total_tokens,web_searches,cost_usd,estimated,models,rate_limit_events";

const DETAILS_HEADER: &str = "date,session_id,session_type,user,host,project,conversation_id,model,messages,input_tokens,\
                              output_tokens,cache_write_5m_tokens,cache_write_1h_tokens,cache_read_tokens,total_tokens,\
                              web_searches,cost_usd,estimated";

/// Writes everything that an overview covers as CSV: a line for each day, session, conversation and model.
///
/// Columns that nothing is known for are empty. Texts are made safe as in [`report_csv`].
pub fn details_csv(overview: &Overview) -> String {
    let mut out = format!("{DETAILS_HEADER}\r\n");
    let infos: BTreeMap<_, _> = overview.sessions.iter().map(|line| (&line.name, &line.info)).collect();
    for detail in &overview.details {
        let info = detail.session.as_ref().and_then(|name| infos.get(name));
        let texts = [
            detail.date.to_string(),
            info.map(|info| info.session_id.to_string()).unwrap_or_default(),
            info.map(|info| info.session_type.to_string()).unwrap_or_default(),
            info.map(|info| info.user.to_string()).unwrap_or_default(),
            info.map(|info| info.host.to_string()).unwrap_or_default(),
            detail.project.clone().unwrap_or_default(),
            detail.conversation.to_string(),
            detail.model.to_string(),
        ];
        for text in &texts {
            out.push_str(&cell(text));
            out.push(',');
        }
        let Totals { sum, cost, estimated, .. } = &detail.totals;
        let usage = &sum.usage;
        // Writing into a string cannot fail.
        let _ = write!(
            out,
            "{},{},{},{},{},{},{},{},{},{estimated}\r\n",
            sum.messages,
            usage.input,
            usage.output,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.cache_read,
            usage.total(),
            usage.web_searches,
            cost.as_dollars(),
        );
    }
    out
}

/// Writes a report as CSV with a header and one line for each row; the totals are left to the reader.
///
/// Texts that a spreadsheet would run as a formula are prefixed with an apostrophe, and every text is
/// [`printable`]: a report is often looked at in a terminal.
pub fn report_csv(report: &Report) -> String {
    let mut out = format!("{HEADER}\r\n");
    for row in &report.rows {
        write_row(&mut out, &row.key, &row.totals);
    }
    out
}

fn write_row(out: &mut String, key: &str, totals: &Totals) {
    let usage = totals.usage();
    let models: Vec<&str> = totals.models.iter().map(|model| model.as_str()).collect();
    let _ = write!(
        out,
        "{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
        cell(key),
        totals.sum.messages,
        usage.input,
        usage.output,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_read,
        usage.total(),
        usage.web_searches,
        totals.cost.as_dollars(),
        totals.estimated,
        cell(&models.join(" ")),
        totals.rate_limit_events,
    );
}

/// Quotes a text where it needs it, and keeps spreadsheets from taking it for a formula and terminals for an order.
fn cell(text: &str) -> String {
    // A newline steers nothing and is at home in quotes.
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    let text = lines.join("\n");
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_quoted_and_harmless() {
        assert_eq!(cell("claude-opus-5-5"), "claude-opus-5-5");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
        assert_eq!(cell("\t=1\r"), "�=1�", "nor is a formula behind what is cut off");
        assert_eq!(cell("\x1b[2J\u{9b}2J"), "�[2J�2J");
    }
}
