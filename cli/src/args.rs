//! The command line. The doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use session_coordinator::{Policy, Priority};

/// Watches every Claude Code session: usage, cost and limits, live and right.
///
/// Without a command the monitor starts: full screen on a terminal, one line per change in a pipe.
#[derive(Debug, Default, Parser)]
#[command(name = "claudewatch", version, max_term_width = 100)]
#[command(
    after_help = "These options, but --config, can also be set by a variable (--data-dir: CLAUDEWATCH_DATA_DIR) and in config.toml \
                        (data_dir). Exit codes: 0 done, 1 nothing found or a check failed, 2 wrong usage, 3 a store or \
                        source could not be read or written, 4 wait timed out, 10 a limit is near, 11 a limit is hit \
                        (limits --check)."
)]
pub(crate) struct Cli {
    /// Show the sessions and conversations, like the command `status`.
    #[arg(long, conflicts_with = "all")]
    pub(crate) status: bool,
    /// Write the figures to files, like the command `export`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "status"])]
    pub(crate) export_report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(flatten)]
    pub(crate) coordination: CoordinationArgs,
    #[command(flatten)]
    pub(crate) monitor: MonitorArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Reads the command lines by which Claude Code runs us, as `setup` writes them: a command without any option. It waits for
    /// them, and to describe the whole command line first, as for any other, would be a third of what they do.
    pub(crate) fn of_call(args: &[OsString]) -> Option<Self> {
        let [_, command] = args else { return None };
        let command = match command.to_str()? {
            "hook" => Command::Hook(HookArgs::default()),
            "statusline" => Command::Statusline,
            _ => return None,
        };
        Some(Self { command: Some(command), ..Self::default() })
    }

    /// Reads a command line. `--status` and `--export-report FILE` stand for the commands, and take the options of these.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(args).or_else(|error| match as_command(args).map(Self::try_parse_from) {
            Some(Ok(cli)) => Ok(cli),
            _ => Err(error),
        })
    }
}

/// Returns a command line with the command in place of the option that stands for it.
fn as_command(args: &[OsString]) -> Option<Vec<OsString>> {
    const EXPORT: &str = "--export-report";
    let mut rest = args.to_vec();
    let at = |wanted: &str| args.iter().position(|arg| arg.to_str().is_some_and(|arg| arg == wanted));
    let command: Vec<OsString> = if let Some(at) = at("--status") {
        rest.remove(at);
        vec!["status".into()]
    } else if let Some(at) = at(EXPORT).filter(|at| at + 1 < args.len()) {
        rest.remove(at);
        vec!["export".into(), rest.remove(at)]
    } else {
        let joined = |arg: &OsString| Some(arg.to_str()?.strip_prefix(EXPORT)?.strip_prefix('=')?.into());
        let (at, file) = args.iter().enumerate().find_map(|(at, arg)| Some((at, joined(arg)?)))?;
        rest.remove(at);
        vec!["export".into(), file]
    };
    rest.splice(1..1, command);
    Some(rest)
}

/// Apart from those of a command, among which the help would strew them otherwise.
const MONITOR_AND_STATUS: &str = "Monitor and status";

#[derive(Debug, Args, Default)]
#[command(next_help_heading = MONITOR_AND_STATUS)]
pub(crate) struct MonitorArgs {
    /// Show all projects, not only the one of the working folder.
    #[arg(long, global = true)]
    pub(crate) all: bool,
}

/// Options of every command.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArgs {
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A Claude Code config folder; may be repeated [default: CLAUDE_CONFIG_DIR, else ~/.config/claude and ~/.claude].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) claude_dir: Vec<PathBuf>,
    /// Where the archive and the sessions' stores are kept [default: $XDG_DATA_HOME/claudewatch, else
    /// ~/.local/share/claudewatch].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where live sessions meet [default: $XDG_RUNTIME_DIR/claudewatch, else /run/user/UID/claudewatch, else
    /// claudewatch-UID in $TMPDIR or /tmp].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// The configuration file [default: $XDG_CONFIG_HOME/claudewatch/config.toml].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The time zone in which days begin, such as Europe/Berlin [default: the system's].
    #[arg(long, global = true, value_name = "IANA")]
    pub(crate) timezone: Option<String>,
    /// When to use colours [default: auto].
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<ColorWhen>,
    /// Log to standard error.
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// No progress bar and no remarks.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

/// How sessions work together.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = MONITOR_AND_STATUS)]
pub(crate) struct CoordinationArgs {
    /// Coordinate with the other sessions [default].
    #[arg(long, global = true, conflicts_with_all = ["single_session", "no_coordination"])]
    pub(crate) multi_session: bool,
    /// Read only the project of the working folder, and coordinate with nobody.
    #[arg(long, global = true)]
    pub(crate) single_session: bool,
    /// Join no other monitor and be seen by none.
    #[arg(long, global = true)]
    pub(crate) no_coordination: bool,
    /// How much this session shares with the others of the user [default: unified].
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) isolation: Option<IsolationLevel>,
    /// Show what other sessions tell, such as a limit that was hit [default].
    #[arg(long, global = true, conflicts_with = "no_cross_session_notify")]
    pub(crate) cross_session_notify: bool,
    /// Do not show it.
    #[arg(long, global = true)]
    pub(crate) no_cross_session_notify: bool,
    /// Use less where many sessions run: viewers watch nothing themselves, all look every three seconds instead of each,
    /// and ended sessions are moved into the archive at once.
    #[arg(long, global = true)]
    pub(crate) optimize_resources: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationLevel {
    /// Its presence alone; reports are of its own usage.
    Complete,
    /// What is learned of the account and its limits; reports are of its own usage.
    SharedLearning,
    /// Everything: reports join all sessions.
    Unified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Usage and cost by day, week, month, conversation, project, model, five-hour block, session, its type, user or host.
    Report(ReportArgs),
    /// The records behind a figure: kept, dropped and why, and the prices used.
    Explain(ExplainArgs),
    /// The figures as files: JSON, CSV, or one page to read (.html).
    Export(ExportArgs),
    /// The figures in the text form of Prometheus.
    Metrics(MetricsArgs),
    /// The whole history as events, one line of JSON each, and back: joins the histories of several hosts.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Every live session, the limits, how sessions work together, and the conversations of the last day.
    Status,
    /// Which session this is, and why; warns where two sessions could be mistaken for each other.
    Detect(DetectArgs),
    /// Old records, stores of ended sessions and files left over: shown, then deleted.
    Prune(PruneArgs),
    /// Each limit of each account: how much is used, by whom, who says so, and when it is reset.
    Limits(LimitsArgs),
    /// Waits until no limit is hit.
    Wait(WaitArgs),
    /// One line for Claude Code's status line, whose JSON is read on standard input.
    Statusline,
    /// Checks installation, stores, sources, versions and clocks; says what to do.
    Doctor,
    /// How much sessions matter when limits run out: shows it, or sets it for a project, session or pattern.
    Priority(PriorityArgs),
    /// Put the hooks and the status line into Claude Code's settings, or take them out again.
    Setup(SetupArgs),
    /// One call of a Claude Code hook: the call as JSON on standard input. Silent and successful on any trouble of ours.
    Hook(HookArgs),
    /// The monitor over a generated history that goes on live, in a scratch folder.
    Demo,
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of the program, or of a command (man report), in the form of man(1).
    Man {
        /// The command.
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Write this file, whole or not at all, for the textfile collector of the node exporter.
    #[arg(long, value_name = "PATH")]
    pub(crate) textfile: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file, - for standard output; report.json comes with report.sessions.json and report.analytics.json.
    pub(crate) file: PathBuf,
    /// The form [default: by the ending of the name, JSON for standard output].
    #[arg(long, value_name = "FORM")]
    pub(crate) format: Option<ExportFormat>,
    #[command(flatten)]
    pub(crate) span: SpanArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The report, on disk with its two companions.
    Json,
    /// A row for each day, session, conversation and model.
    Csv,
    /// One self-contained page.
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Write all events, with the paths and branches of projects but none of what was said.
    Export {
        /// The file, - for standard output.
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Only from this date or time on (2026-11-22, 2026-11-22T14:00, or RFC 3339).
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Only before this date or time.
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
    },
    /// Join events into this history; reading the same ones twice changes nothing.
    Import {
        /// The files, - for standard input.
        #[arg(default_value = "-")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Delete records older than this: days, weeks or years, such as 90d, 12w, 2y [default: none].
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Only show what would go.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Delete without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PriorityArgs {
    /// A project by its path (and all below), a session by its id or place (pts/3), a conversation, or a pattern with * or ?.
    #[arg(requires = "level", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) scope: Option<String>,
    /// How much it matters.
    #[arg(value_enum)]
    pub(crate) level: Option<PriorityName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorityName {
    /// Never slowed, only told.
    Critical,
    /// Slowed when the limits run out; starts nothing new while one is spent.
    Normal,
    /// Slowed first, and stopped while a limit is spent.
    Background,
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Self {
        match name {
            PriorityName::Critical => Self::Critical,
            PriorityName::Normal => Self::Normal,
            PriorityName::Background => Self::Background,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Take out what is ours, and put the settings back as they were.
    #[arg(long)]
    pub(crate) uninstall: bool,
    /// Show what would be changed, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the settings as they would be, and change nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) print: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Write a Claude Code plugin into this folder instead, with the hooks and a skill.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["uninstall", "dry_run", "print"])]
    pub(crate) plugin: Option<PathBuf>,
}

#[derive(Debug, Args, Default)]
pub(crate) struct HookArgs {
    /// What is done about limits: nothing, nothing but a record of what would be done, or waits and refusals
    /// [default: observe].
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) policy: Option<PolicyName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyName {
    Off,
    Observe,
    Enforce,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Off => Self::Off,
            PolicyName::Observe => Self::Observe,
            PolicyName::Enforce => Self::Enforce,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// Look at another process instead.
    #[arg(long, value_name = "PID", conflicts_with = "facts")]
    pub(crate) pid: Option<u32>,
    /// Judge recorded facts, one JSON object a line (- for standard input).
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    pub(crate) facts: Option<PathBuf>,
    /// Print the facts themselves, without secrets, as a record for --facts.
    #[arg(long)]
    pub(crate) record: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    /// End with code 10 where a limit is near (75 % used, or Claude Code warned), with 11 where one is hit.
    #[arg(long)]
    pub(crate) check: bool,
    /// Forecast each limit, and show how well such forecasts would have done so far.
    #[arg(long)]
    pub(crate) backtest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Until what is hit has been reset; the same as without options.
    #[arg(long, conflicts_with = "below")]
    pub(crate) until_reset: bool,
    /// Until less than this is used of every limit, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = percentage)]
    pub(crate) below: Option<f64>,
    /// Give up after this time and end with code 4: seconds, or such as 90s, 10m, 5h.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) timeout: Option<Duration>,
}

fn percentage(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().ok().filter(|it| (0.0..=100.0).contains(it));
    number.ok_or_else(|| "not a percentage from 0 to 100".to_owned())
}

/// Reads a span of time: a number of seconds, or one with a unit.
fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|char: char| char.is_ascii_alphabetic()).len());
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("units are ms, s, m, h and d".to_owned()),
    };
    let seconds =
        number.parse::<f64>().ok().map(|number| number * factor).filter(|it| (0.0..1e9).contains(it));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "not a span of time".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// What the rows are.
    #[arg(value_enum, default_value = "daily", value_name = "BY")]
    pub(crate) by: ReportBy,
    #[command(flatten)]
    pub(crate) span: SpanArgs,
    /// Only sessions whose id begins with this, such as pts/1:local:herb.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Only sessions of this sort.
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub(crate) session_type: Option<SessionType>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportBy {
    Daily,
    Weekly,
    Monthly,
    Conversation,
    Project,
    Model,
    Block,
    Session,
    Type,
    User,
    Host,
    /// What hooks did about limits.
    Coordination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SessionType {
    Local,
    Ssh,
    #[value(name = "vscode")]
    VsCode,
    Jupyter,
    Container,
    Script,
}

impl From<SessionType> for session_detect::Kind {
    fn from(sort: SessionType) -> Self {
        match sort {
            SessionType::Local => Self::Local,
            SessionType::Ssh => Self::Ssh,
            SessionType::VsCode => Self::VsCode,
            SessionType::Jupyter => Self::Jupyter,
            SessionType::Container => Self::Container,
            SessionType::Script => Self::Script,
        }
    }
}

/// What is counted.
#[derive(Clone, Debug, Args, Default)]
pub(crate) struct SpanArgs {
    /// Only from this date or time on (2026-11-22, 2026-11-22T14:00, or RFC 3339).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Only before this date or time.
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// Only projects at or below this path, or of this name.
    #[arg(long, value_name = "PATH")]
    pub(crate) project: Option<String>,
    /// Only models whose name contains this.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A day (2026-11-22), a month (2026-11), a conversation, a session (pts/1:local:…), a project, a model, a message (msg_…),
    /// or a limit by its name in JSON (five_hour).
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) what: String,
}

/// Reads an age: `90d`, `12w`, `2y`; a year has 365 days.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "write days, weeks or years: 90d, 12w, 2y".to_owned();
    let (number, days) = match text.char_indices().last() {
        Some((at, 'd')) => (&text[..at], 1),
        Some((at, 'w')) => (&text[..at], 7),
        Some((at, 'y')) => (&text[..at], 365),
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err("an age of nothing would delete everything".to_owned());
    }
    Ok(Duration::from_secs(u64::from(number) * days * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_any_other_command_line() {
        for command in ["hook", "statusline"] {
            let args = ["claudewatch", command].map(OsString::from);
            let read = Cli::of_call(&args).expect("it is a call");
            let by_description = Cli::try_parse_from(&args).expect("it is a command");
            assert_eq!(format!("{read:?}"), format!("{by_description:?}"));
        }
        for other in
            [vec!["claudewatch"], vec!["claudewatch", "status"], vec!["claudewatch", "hook", "--json"]]
        {
            let args: Vec<OsString> = other.iter().map(OsString::from).collect();
            assert!(Cli::of_call(&args).is_none(), "{other:?}");
        }
    }

    #[test]
    fn ages_are_read() {
        let check = |text, days: Option<u64>| {
            assert_eq!(age(text).ok(), days.map(|days| Duration::from_secs(days * 86_400)), "{text}");
        };
        check("1d", Some(1));
        check("12w", Some(84));
        check("2y", Some(730));
        for wrong in ["", "d", "0d", "90", "-1d", "1.5y", "1é", "99999999999d", "1m"] {
            check(wrong, None);
        }
    }
}
