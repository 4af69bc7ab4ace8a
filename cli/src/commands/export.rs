//! `claudewatch export`: the report files: JSON in three, CSV, or one page to read.

mod gather;
mod json;

use std::path::{Path, PathBuf};

use session_analytics::{details_csv, report_html};

use crate::args::{ExportArgs, ExportFormat};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Output;
use gather::Gathered;

pub(crate) fn run(context: &Context, args: &ExportArgs) -> Result<(), CliError> {
    let format = format_of(args)?;
    let paths = match format {
        ExportFormat::Json => companions(&args.file),
        _ => vec![args.file.clone()],
    };
    let gathered = Gathered::of(context, &args.span)?;
    let texts = match format {
        ExportFormat::Json => {
            vec![json::report(&gathered), json::sessions(&gathered), json::analytics(&gathered)]
        }
        ExportFormat::Csv => vec![details_csv(&gathered.overview)],
        ExportFormat::Html => vec![report_html(&gathered.page())],
    };
    let mut outputs = paths.iter().map(|path| Output::to(path)).collect::<Result<Vec<_>, _>>()?;
    // All are safe on the disk before the first takes its place, so that a full disk leaves the old ones together.
    for (out, text) in outputs.iter_mut().zip(&texts) {
        out.text(text)?;
        out.settle()?;
    }
    outputs.into_iter().try_for_each(Output::finish)?;
    if args.file != Path::new("-") {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        context.remark(&format!("wrote {}", names.join(", ")));
    }
    Ok(())
}

/// Returns the form by the option, else by the ending of the name.
fn format_of(args: &ExportArgs) -> Result<ExportFormat, CliError> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    if args.file == Path::new("-") {
        return Ok(ExportFormat::Json);
    }
    let ending = args.file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("json") => Ok(ExportFormat::Json),
        Some("csv") => Ok(ExportFormat::Csv),
        Some("html" | "htm") => Ok(ExportFormat::Html),
        _ => Err(CliError::usage(format!("cannot tell the form of {} by its name", args.file.display()))
            .hinted("end it with .json, .csv or .html, or say --format")),
    }
}

/// Returns the three names of a JSON export: `report.json`, `report.sessions.json`, `report.analytics.json`.
///
/// Standard output takes the report alone.
fn companions(file: &Path) -> Vec<PathBuf> {
    if file == Path::new("-") {
        return vec![file.to_owned()];
    }
    let is_json = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let stem = if is_json { file.file_stem() } else { file.file_name() }.unwrap_or_default();
    let beside = |part: &str| {
        let mut name = stem.to_owned();
        name.push(part);
        file.with_file_name(name)
    };
    vec![file.to_owned(), beside(".sessions.json"), beside(".analytics.json")]
}
