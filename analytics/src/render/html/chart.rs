//! Bars over time, stacked by name: shapes stretch with the page, letters do not.

use std::fmt::Write;

use super::day;
use super::markup::{Markup, Short};
use crate::money::Usd;
use crate::overview::{Series, Step};
use session_store::Date;

/// The height of a plot in its own units.
const HEIGHT: f64 = 100.0;
/// How many slots at most are named below.
const TICKS_MAX: usize = 6;
/// Rows of figures below a plot; a year of weeks fits.
const ROWS_MAX: usize = 120;

/// What a chart shows.
pub(super) struct Chart<'a> {
    /// The part of the page's ids that is its own.
    pub(super) id: &'static str,
    /// What stands over it.
    pub(super) title: &'static str,
    /// How slots follow each other.
    pub(super) step: Step,
    /// Their first days.
    pub(super) slots: &'a [Date],
    /// The amounts.
    pub(super) series: &'a Series,
    /// What a name looks like to people.
    pub(super) name: fn(&str) -> String,
}

/// Draws stacked bars with a legend and the figures behind them.
pub(super) fn stacked(out: &mut Markup, chart: &Chart<'_>) {
    let sums: Vec<Usd> = (0..chart.slots.len()).map(|slot| chart.series.slot_sum(slot)).collect();
    let top = sums.iter().copied().max().unwrap_or_default();
    let (ceiling, lines) = scale(top.as_dollars());
    let summary = summary(chart, &sums);
    out.put(
        "<figure aria-labelledby=\"{}-t\">\n<figcaption id=\"{}-t\">{}</figcaption>\n",
        &[&chart.id, &chart.id, &chart.title],
    );
    out.put(
        "<div class=\"plot\" role=\"img\" aria-label=\"{}\">\n<div class=\"grid\" aria-hidden=\"true\">",
        &[&summary],
    );
    for line in lines {
        out.put("<i style=\"bottom:{}%\"><b>{}</b></i>", &[&Short(line / ceiling * HEIGHT), &dollars(line)]);
    }
    out.raw("</div>\n");
    bars(out, chart, &sums, ceiling);
    out.raw("</div>\n");
    axis(out, chart);
    legend(out, chart);
    table(out, chart, &sums);
    out.raw("</figure>\n");
}

/// Chooses a round ceiling over `top` dollars and the lines below it.
fn scale(top: f64) -> (f64, Vec<f64>) {
    if top <= 0.0 {
        return (1.0, vec![]);
    }
    let rough = top / 3.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let count = (top / step).ceil().max(1.0);
    (step * count, (1..=count as u32).map(|line| step * f64::from(line)).collect())
}

/// Writes dollars on an axis: `$40`, `$2.50`.
fn dollars(amount: f64) -> String {
    let amount = Usd::from_picos((amount * 1e12).round() as i128).to_string();
    amount.strip_suffix(".00").map(str::to_owned).unwrap_or(amount)
}

fn bars(out: &mut Markup, chart: &Chart<'_>, sums: &[Usd], ceiling: f64) {
    let count = chart.slots.len();
    out.put(
        "<svg viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">\n",
        &[&count],
    );
    for place in 0..chart.series.names.len() {
        let mut path = String::new();
        for (slot, amounts) in chart.series.slots.iter().enumerate() {
            let below: Usd = amounts[..place].iter().copied().sum();
            let height = amounts[place].as_dollars() / ceiling * HEIGHT;
            if height > 0.0 {
                let bottom = HEIGHT - below.as_dollars() / ceiling * HEIGHT;
                let (x, w) = (Short(slot as f64 + 0.1), Short(0.8));
                // Writing into a string cannot fail.
                let _ = write!(path, "M{x} {}h{w}v{}h-{w}z", Short(bottom), Short(-height));
            }
        }
        out.put("<path class=\"s{}\" d=\"{}\"/>\n", &[&color(chart, place), &path]);
    }
    for (slot, first) in chart.slots.iter().enumerate() {
        if sums[slot] > Usd::ZERO {
            out.put(
                "<rect x=\"{}\" width=\"1\" height=\"100\"><title>{}: {}",
                &[&slot, &day::slot(chart.step, *first), &sums[slot]],
            );
            for (place, (name, _)) in chart.series.names.iter().enumerate() {
                let amount = chart.series.slots[slot][place];
                if amount > Usd::ZERO {
                    out.put("\n{} {}", &[&amount, &(chart.name)(name)]);
                }
            }
            out.raw("</title></rect>\n");
        }
    }
    out.raw("</svg>\n");
}

/// The colour of a name; what stands for several smaller ones is grey.
fn color(chart: &Chart<'_>, place: usize) -> usize {
    let is_rest = chart.series.merged > 0 && place + 1 == chart.series.names.len();
    if is_rest { 0 } else { place + 1 }
}

fn axis(out: &mut Markup, chart: &Chart<'_>) {
    let count = chart.slots.len();
    let every = count.div_ceil(TICKS_MAX).max(1);
    out.raw("<div class=\"axis\" aria-hidden=\"true\">");
    for (slot, first) in chart.slots.iter().enumerate().step_by(every) {
        let left = (slot as f64 + 0.5) / count as f64 * 100.0;
        out.put("<span style=\"left:{}%\">{}</span>", &[&Short(left), &day::tick(chart.step, *first)]);
    }
    out.raw("</div>\n");
}

fn legend(out: &mut Markup, chart: &Chart<'_>) {
    let total: Usd = chart.series.names.iter().map(|(_, sum)| *sum).sum();
    out.raw("<ul class=\"legend\">");
    for (place, (name, sum)) in chart.series.names.iter().enumerate() {
        out.put(
            "<li><i class=\"s{}\"></i><span><bdi>{}</bdi></span> <b>{}</b> <small>{}</small></li>",
            &[&color(chart, place), &(chart.name)(name), sum, &percent(sum.as_dollars(), total.as_dollars())],
        );
    }
    out.raw("</ul>\n");
}

/// The figures behind the bars, for those who cannot see them, and those who want to know.
fn table(out: &mut Markup, chart: &Chart<'_>, sums: &[Usd]) {
    let unit = match chart.step {
        Step::Day => "Day",
        Step::Week => "Week of",
        Step::Month => "Month",
    };
    out.raw("<details><summary>Figures</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" ");
    out.put("aria-labelledby=\"{}-t\"><table><thead><tr><th scope=\"col\">{}</th>", &[&chart.id, &unit]);
    for (name, _) in &chart.series.names {
        out.put("<th scope=\"col\" class=\"n\"><bdi>{}</bdi></th>", &[&(chart.name)(name)]);
    }
    out.raw("<th scope=\"col\" class=\"n\">Total</th></tr></thead><tbody>\n");
    let used = |slot: &usize| sums[*slot] > Usd::ZERO;
    for slot in (0..sums.len()).rev().filter(used).take(ROWS_MAX) {
        out.put("<tr><th scope=\"row\">{}</th>", &[&day::long(chart.slots[slot])]);
        for amount in &chart.series.slots[slot] {
            match *amount {
                Usd::ZERO => out.raw("<td class=\"n\">–</td>"),
                amount => out.put("<td class=\"n\">{}</td>", &[&amount]),
            }
        }
        out.put("<td class=\"n\">{}</td></tr>\n", &[&sums[slot]]);
    }
    out.raw("</tbody></table></div></details>\n");
}

/// Says in a sentence what the bars show.
fn summary(chart: &Chart<'_>, sums: &[Usd]) -> String {
    let unit = match chart.step {
        Step::Day => "day",
        Step::Week => "week",
        Step::Month => "month",
    };
    let total: Usd = sums.iter().copied().sum();
    let mut text = format!("Bar chart of the spend by {unit}, {total} in all.");
    if let Some((slot, most)) = sums.iter().enumerate().max_by_key(|(slot, sum)| (**sum, usize::MAX - slot)) {
        let _ = write!(text, " The most is {most}: {}.", day::slot(chart.step, chart.slots[slot]));
    }
    let parts: Vec<String> =
        chart.series.names.iter().map(|(name, sum)| format!("{} {sum}", (chart.name)(name))).collect();
    let _ = write!(text, " By name: {}.", parts.join(", "));
    text
}

/// Writes a part of a whole: `42%`, `<1%`.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole <= 0.0 || part <= 0.0 {
        return "0%".to_owned();
    }
    let share = part / whole * 100.0;
    if share < 1.0 { "<1%".to_owned() } else { format!("{share:.0}%") }
}
