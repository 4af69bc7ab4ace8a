//! `claudewatch priority`: shows or sets how much sessions matter.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use session_coordinator::Priority;
use tempfile::NamedTempFile;

use crate::args::PriorityArgs;
use crate::config::expanded;
use crate::context::{Context, print, print_json};
use crate::error::CliError;
use crate::printable::printable;
use crate::table::{Column, Table, terminal_width};

const SECTION: &str = "priority";

pub(crate) fn run(context: &Context, args: &PriorityArgs) -> Result<(), CliError> {
    match (&args.scope, args.level) {
        (Some(scope), Some(level)) => set(context, &scoped(scope), level.into()),
        _ => show(context),
    }
}

/// A project may be named by a path that is relative to the working folder: by the folder that is there.
fn scoped(scope: &str) -> String {
    let path = Path::new(scope);
    let is_path = scope.starts_with("./") || scope.starts_with("../") || path.is_relative() && path.is_dir();
    let absolute = is_path.then(|| Path::new(scope).canonicalize().ok()).flatten();
    absolute.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| scope.to_owned())
}

#[derive(Serialize)]
struct RulesOut<'a> {
    schema_version: u32,
    policy: &'a str,
    priorities: Vec<RuleOut<'a>>,
}

#[derive(Serialize)]
struct SetOut<'a> {
    schema_version: u32,
    #[serde(flatten)]
    rule: RuleOut<'a>,
}

#[derive(Serialize)]
struct RuleOut<'a> {
    scope: &'a str,
    priority: &'a str,
}

fn show(context: &Context) -> Result<(), CliError> {
    let config = &context.config;
    let rules = config.priorities.rules();
    if config.json {
        let rules = rules.iter().map(|(scope, level)| RuleOut { scope, priority: level.name() });
        let (policy, priorities) = (config.policy.name(), rules.collect());
        return print_json(&RulesOut { schema_version: 1, policy, priorities });
    }
    let mut out = format!("Policy: {}\n", config.policy.name());
    if rules.is_empty() {
        out.push_str("Every session is normal. To change that: claudewatch priority SCOPE critical|normal|background\n");
        return print(&out);
    }
    let mut table = Table::new(&[Column::left("Scope", 0), Column::left("Priority", 0)]);
    for (scope, level) in rules {
        table.row(vec![printable(scope).into_owned(), level.name().to_owned()]);
    }
    out.push_str(&table.draw(terminal_width(), config.colors_stdout()));
    out.push_str("All others are normal.\n");
    print(&out)
}

fn set(context: &Context, scope: &str, level: Priority) -> Result<(), CliError> {
    let path: PathBuf = context.config.file.clone().ok_or_else(|| CliError::usage("HOME is not set"))?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CliError::store(format!("cannot read {}", path.display())).because(error)),
    };
    let by_hand = || {
        CliError::store(format!("{} has a form that is not changed without risk", path.display()))
            .hinted(format!("put it in by hand: [{SECTION}] {} = \"{level}\"", quoted(scope)))
    };
    let changed = with_rule(&text, scope, level).ok_or_else(by_hand)?;
    write(&path, &changed)
        .map_err(|error| CliError::store(format!("cannot write {}", path.display())).because(error))?;
    if context.config.json {
        let rule = RuleOut { scope, priority: level.name() };
        return print_json(&SetOut { schema_version: 1, rule });
    }
    if !context.config.quiet {
        print(&format!("{} is {level} now.\n", printable(scope)))?;
    }
    Ok(())
}

/// Sets a rule in the text of a configuration; `None` where the text would not then say exactly what was wanted.
fn with_rule(text: &str, scope: &str, level: Priority) -> Option<String> {
    let before: toml::Table = text.parse().ok()?;
    let mut wanted = before;
    let section = wanted.entry(SECTION).or_insert_with(|| toml::Table::new().into());
    let section = section.as_table_mut()?;
    // It may stand there already in another form, with `~` for the home folder.
    let same = section.keys().find(|key| expanded(key).to_str() == Some(scope));
    let scope = &same.cloned().unwrap_or_else(|| scope.to_owned());
    section.insert(scope.clone(), level.name().into());
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let rule = format!("{} = \"{level}\"", quoted(scope));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.iter().position(|line| header(line) == Some(SECTION)) {
        Some(at) => {
            let end = lines[at + 1..].iter().position(|line| header(line).is_some());
            let end = end.map_or(lines.len(), |end| at + 1 + end);
            let same = lines[at + 1..end].iter().position(|line| key(line).as_deref() == Some(scope));
            match same {
                Some(place) => lines[at + 1 + place] = rule,
                None => lines.insert(at + 1, rule),
            }
        }
        None => {
            if lines.last().is_some_and(|line| !line.is_empty()) {
                lines.push(String::new());
            }
            lines.push(format!("[{SECTION}]"));
            lines.push(rule);
        }
    }
    let changed: String = lines.into_iter().map(|line| line + newline).collect();
    let says: toml::Table = changed.parse().ok()?;
    (says == wanted).then_some(changed)
}

/// Returns the name of the table that begins on a line.
fn header(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    line.strip_prefix('[').map(|rest| rest.trim_end_matches(']').trim())
}

/// Returns the key that a line sets.
fn key(line: &str) -> Option<String> {
    let table: toml::Table = line.parse().ok()?;
    table.into_iter().next().map(|(key, _)| key)
}

fn quoted(scope: &str) -> String {
    toml::Value::from(scope).to_string()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(&path) {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_set_and_everything_else_stays() {
        let check = |text: &str, scope: &str, expected: Option<&str>| {
            assert_eq!(with_rule(text, scope, Priority::Critical).as_deref(), expected, "{text}");
        };
        check("", "/p", Some("[priority]\n\"/p\" = \"critical\"\n"));
        // As the manual has it written by hand.
        let shop = expanded("~/shop");
        check(
            "[priority]\n\"~/shop\" = \"normal\"\n",
            shop.to_str().unwrap(),
            Some("[priority]\n\"~/shop\" = \"critical\"\n"),
        );
        check(
            "quiet = true # yes\n",
            "/p",
            Some("quiet = true # yes\n\n[priority]\n\"/p\" = \"critical\"\n"),
        );
        check(
            "[priority] # mine\n\"/p\" = 'normal' # old\n\"/q\" = \"normal\"\n\n[x]\ny = 1\n",
            "/p",
            Some("[priority] # mine\n\"/p\" = \"critical\"\n\"/q\" = \"normal\"\n\n[x]\ny = 1\n"),
        );
        check(
            "[priority]\r\na = \"normal\"\r\n",
            "b",
            Some("[priority]\r\n\"b\" = \"critical\"\r\na = \"normal\"\r\n"),
        );
        // Not by lines: it would have to be guessed.
        check("priority = { a = \"normal\" }\n", "a", None);
        check("priority = 7\n", "a", None);
        check("a = \"\"\"\n[priority]\n\"\"\"\n", "a", None);
        check("not toml", "a", None);
    }
}
