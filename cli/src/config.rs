//! Settings: option, then variable, then file, then default.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use session_coordinator::{Isolation, Policy, Priorities, Priority};
use session_store::Zone;

use crate::args::{
    ColorWhen, CoordinationArgs, GlobalArgs, IsolationLevel, ReportArgs, SessionType, SpanArgs,
};
use crate::error::CliError;
use crate::ways::{QuietHours, TerminalWay, Ways};

/// What was decided for this run.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) json: bool,
    pub(crate) claude_dirs: Vec<PathBuf>,
    /// Those of them that somebody named; a default may well be missing.
    pub(crate) chosen_claude_dirs: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    /// Where live monitors meet, where the user chose it.
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) mode: SessionMode,
    /// How much this session shares with the others.
    pub(crate) isolation: Isolation,
    notify: bool,
    /// Whether many sessions run, so that each should use less.
    pub(crate) optimize_resources: bool,
    pub(crate) zone: Zone,
    pub(crate) color: ColorWhen,
    pub(crate) debug: bool,
    pub(crate) quiet: bool,
    pub(crate) all: bool,
    /// The user's form of the status line.
    pub(crate) statusline_template: Option<String>,
    /// The status line command the user had before.
    pub(crate) statusline_command: Option<String>,
    /// How long that one may take.
    pub(crate) statusline_timeout: Duration,
    /// How the user is told of limits.
    pub(crate) ways: Ways,
    /// What reports cover where their options do not say it.
    pub(crate) reports: ReportDefaults,
    /// What hooks do about limits.
    pub(crate) policy: Policy,
    /// How much this very session matters, where its environment says so.
    pub(crate) priority: Option<Priority>,
    /// How much sessions matter.
    pub(crate) priorities: Priorities,
    /// The configuration's file, whether there is one or not.
    pub(crate) file: Option<PathBuf>,
    /// The user's own prices, beside the configuration.
    pub(crate) prices_file: PathBuf,
}

/// The options of reports, as variables and the file have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportDefaults {
    span: SpanArgs,
    session: Option<String>,
    session_type: Option<SessionType>,
    csv: bool,
}

impl ReportDefaults {
    fn of(args: &GlobalArgs, layers: &Layers) -> Result<Self, CliError> {
        let read = |name: String| {
            let found = SessionType::from_str(&name, false);
            found.map_err(|_| CliError::usage(format!("type: `{name}` is no sort of session")))
        };
        Ok(Self {
            span: SpanArgs {
                since: layers.text("since")?,
                until: layers.text("until")?,
                project: layers.path("project")?.map(|path| path.to_string_lossy().into_owned()),
                model: layers.text("model")?,
            },
            session: layers.text("session")?,
            session_type: layers.text("type")?.map(read).transpose()?,
            // Who asks for JSON by an option gets it.
            csv: !args.json && layers.flag(false, "csv")?,
        })
    }

    /// Adds what the options do not say.
    pub(crate) fn with_span(&self, span: SpanArgs) -> SpanArgs {
        let defaults = self.span.clone();
        SpanArgs {
            since: span.since.or(defaults.since),
            until: span.until.or(defaults.until),
            project: span.project.or(defaults.project),
            model: span.model.or(defaults.model),
        }
    }

    /// The same, for all that a report may be told.
    pub(crate) fn with(&self, args: ReportArgs) -> ReportArgs {
        ReportArgs {
            span: self.with_span(args.span),
            session: args.session.or_else(|| self.session.clone()),
            session_type: args.session_type.or(self.session_type),
            csv: args.csv || self.csv,
            ..args
        }
    }
}

/// Whether sessions work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionMode {
    /// They do.
    Multi,
    /// One monitor that reads its own scope and coordinates with nobody.
    Single,
    /// It reads what all sessions wrote, joins no board and is seen by none.
    Uncoordinated,
}

impl SessionMode {
    /// Returns the name that `status` tells.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Multi => "multi-session",
            Self::Single => "single-session",
            Self::Uncoordinated => "none",
        }
    }
}

/// The keys a configuration file may have.
const KEYS: [&str; 33] = [
    "claude_dir",
    "data_dir",
    "runtime_dir",
    "multi_session",
    "single_session",
    "no_coordination",
    "isolation",
    "cross_session_notify",
    "no_cross_session_notify",
    "optimize_resources",
    "timezone",
    "color",
    "debug",
    "quiet",
    "json",
    "all",
    "statusline_template",
    "statusline_command",
    "statusline_timeout_ms",
    "no_notifications",
    "notify_command",
    "no_notify_desktop",
    "notify_terminal",
    "quiet_hours",
    "policy",
    "priority",
    "since",
    "until",
    "project",
    "model",
    "session",
    "type",
    "csv",
];

impl Config {
    /// Gathers the settings of all layers.
    pub(crate) fn load(args: &GlobalArgs, coordination: &CoordinationArgs) -> Result<Self, CliError> {
        let folder = base_dir("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("claudewatch"));
        let explicit = args.config.clone().or_else(|| set_variable("CLAUDEWATCH_CONFIG").map(PathBuf::from));
        let path = explicit.clone().or_else(|| folder.as_ref().map(|dir| dir.join("config.toml")));
        let layers = Layers { file: read_file(path.as_deref(), explicit.is_some())?, path };
        let chosen = chosen_claude_dirs(args, &layers)?;
        let prices_folder = layers.path.as_deref().and_then(Path::parent).map(Path::to_owned);
        Ok(Self {
            json: layers.flag(args.json, "json")?,
            claude_dirs: chosen.clone().map_or_else(default_claude_dirs, Ok)?,
            chosen_claude_dirs: chosen.unwrap_or_default(),
            data_dir: data_dir(args, &layers)?,
            runtime_dir: args.runtime_dir.clone().or(layers.path("runtime_dir")?),
            mode: mode(coordination, &layers)?,
            isolation: isolation(coordination, &layers)?,
            notify: notify(coordination, &layers)?,
            optimize_resources: layers.flag(coordination.optimize_resources, "optimize_resources")?,
            zone: zone(args, &layers)?,
            color: color(args, &layers)?,
            debug: layers.flag(args.debug, "debug")?,
            quiet: layers.flag(args.quiet, "quiet")?,
            all: layers.flag(false, "all")?,
            statusline_template: layers.text("statusline_template")?,
            statusline_command: layers.text("statusline_command")?,
            statusline_timeout: statusline_timeout(&layers)?,
            ways: ways(&layers)?,
            reports: ReportDefaults::of(args, &layers)?,
            policy: policy(&layers)?,
            priority: own_priority()?,
            priorities: priorities(&layers)?,
            file: layers.path.clone(),
            prices_file: prices_folder.or(folder).unwrap_or_default().join("prices.json"),
        })
    }

    /// Returns whether what other sessions tell is wanted and can be heard at all.
    pub(crate) fn notify(&self) -> bool {
        self.notify && self.mode == SessionMode::Multi && self.isolation.uses_board()
    }

    /// Returns whether standard output wants colours.
    pub(crate) fn colors_stdout(&self) -> bool {
        match self.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto if set_variable("NO_COLOR").is_some() => false,
            ColorWhen::Auto if set_variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColorWhen::Auto => std::io::stdout().is_terminal() && !is_dumb_terminal(),
        }
    }
}

/// Tells whether the terminal says of itself that it only prints, as those inside editors do.
pub(crate) fn is_dumb_terminal() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The layers below the options.
struct Layers {
    file: toml::Table,
    path: Option<PathBuf>,
}

impl Layers {
    /// Returns a text by variable, then by file.
    fn text(&self, key: &str) -> Result<Option<String>, CliError> {
        if let Some(value) = set_variable(&variable(key)) {
            return Ok(Some(value.to_string_lossy().into_owned()));
        }
        match self.file.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    /// Returns a path by variable, then by file.
    fn path(&self, key: &str) -> Result<Option<PathBuf>, CliError> {
        match set_variable(&variable(key)) {
            Some(value) => Ok(Some(expanded_os(value))),
            None => Ok(self.text(key)?.map(|text| expanded(&text))),
        }
    }

    /// Returns the paths of a list; in a variable they are separated by commas.
    fn paths(&self, key: &str) -> Result<Option<Vec<PathBuf>>, CliError> {
        if let Some(value) = set_variable(&variable(key)) {
            return Ok(Some(split_paths(value)));
        }
        match self.file.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(vec![expanded(text)])),
            Some(toml::Value::Array(items)) => {
                let paths: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(expanded)).collect();
                paths.map(Some).ok_or_else(|| self.wrong(key, "a path or a list of paths"))
            }
            Some(_) => Err(self.wrong(key, "a path or a list of paths")),
        }
    }

    fn flag(&self, option: bool, key: &str) -> Result<bool, CliError> {
        if option {
            return Ok(true);
        }
        Ok(self.variable_flag(key)?.or(self.file_flag(key)?).unwrap_or(false))
    }

    fn variable_flag(&self, key: &str) -> Result<Option<bool>, CliError> {
        let Some(value) = set_variable(&variable(key)) else { return Ok(None) };
        match value.to_string_lossy().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            other => Err(CliError::usage(format!("{}: `{other}` is neither true nor false", variable(key)))),
        }
    }

    fn file_flag(&self, key: &str) -> Result<Option<bool>, CliError> {
        match self.file.get(key) {
            None => Ok(None),
            Some(toml::Value::Boolean(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// Returns what the variables say by some flags that belong together, else what the file says by them.
    fn flags_together<T>(
        &self,
        keys: &[&str],
        say: impl Fn(&[Option<bool>]) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, CliError> {
        let read = |flag: &dyn Fn(&str) -> Result<Option<bool>, CliError>| {
            keys.iter().map(|key| flag(key)).collect::<Result<Vec<_>, _>>()
        };
        let contradiction = |place: &str| {
            let place = place.to_owned();
            move |text: String| CliError::usage(format!("{place}: {text}"))
        };
        let said = say(&read(&|key| self.variable_flag(key))?).map_err(contradiction("the environment"))?;
        if said.is_some() {
            return Ok(said);
        }
        let path = self.path.as_deref().unwrap_or(Path::new("config.toml"));
        say(&read(&|key| self.file_flag(key))?).map_err(contradiction(&path.display().to_string()))
    }

    fn wrong(&self, key: &str, expected: &str) -> CliError {
        let path = self.path.as_deref().unwrap_or(Path::new("config.toml"));
        CliError::usage(format!("{}: `{key}` must be {expected}", path.display()))
    }
}

fn variable(key: &str) -> String {
    format!("CLAUDEWATCH_{}", key.to_ascii_uppercase())
}

/// Returns a variable of the environment; an empty one counts as not set.
fn set_variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn read_file(path: Option<&Path>, must_exist: bool) -> Result<toml::Table, CliError> {
    let Some(path) = path else { return Ok(toml::Table::new()) };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
            return Ok(toml::Table::new());
        }
        Err(error) => {
            return Err(CliError::usage(format!("cannot read {}", path.display())).because(error));
        }
    };
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| CliError::usage(format!("{}", path.display())).because(error))?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("{}: unknown key `{key}`", path.display());
        return Err(CliError::usage(message).hinted(format!("known keys: {}", KEYS.join(", "))));
    }
    Ok(table)
}

fn chosen_claude_dirs(args: &GlobalArgs, layers: &Layers) -> Result<Option<Vec<PathBuf>>, CliError> {
    if !args.claude_dir.is_empty() {
        return Ok(Some(args.claude_dir.clone()));
    }
    let configured = layers.paths("claude_dir")?;
    Ok(configured.or_else(|| set_variable("CLAUDE_CONFIG_DIR").map(split_paths)))
}

fn default_claude_dirs() -> Result<Vec<PathBuf>, CliError> {
    let xdg = base_dir("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("claude"));
    let dirs: Vec<PathBuf> = xdg.into_iter().chain(home().map(|home| home.join(".claude"))).collect();
    if dirs.is_empty() {
        return Err(CliError::usage("HOME is not set").hinted("name the folder with --claude-dir"));
    }
    Ok(dirs)
}

fn data_dir(args: &GlobalArgs, layers: &Layers) -> Result<PathBuf, CliError> {
    if let Some(dir) = args.data_dir.clone().or(layers.path("data_dir")?) {
        return Ok(dir);
    }
    let base = if cfg!(target_os = "macos") && env::var_os("XDG_DATA_HOME").is_none() {
        home().map(|home| home.join("Library/Application Support"))
    } else if cfg!(windows) {
        env::var_os("LOCALAPPDATA").map(PathBuf::from)
    } else {
        base_dir("XDG_DATA_HOME", ".local/share")
    };
    let missing = || CliError::usage("HOME is not set").hinted("name a folder with --data-dir");
    base.map(|dir| dir.join("claudewatch")).ok_or_else(missing)
}

fn zone(args: &GlobalArgs, layers: &Layers) -> Result<Zone, CliError> {
    match args.timezone.clone().or(layers.text("timezone")?) {
        None => Ok(Zone::system()),
        Some(name) => Zone::named(&name).ok_or_else(|| {
            CliError::usage(format!("unknown time zone `{name}`"))
                .hinted("use a name of the IANA database, such as Europe/Berlin or UTC")
        }),
    }
}

/// The three options are one setting: a layer that says anything of it decides.
fn mode(args: &CoordinationArgs, layers: &Layers) -> Result<SessionMode, CliError> {
    let said = |flags: &[Option<bool>]| {
        let [none, single, multi] = flags else { return Ok(None) };
        match (none, single, multi) {
            (None, None, None) => Ok(None),
            (_, Some(true), Some(true)) => {
                Err("single_session and multi_session exclude each other".to_owned())
            }
            (Some(true), _, Some(true)) => {
                Err("no_coordination and multi_session exclude each other".to_owned())
            }
            (_, Some(true), _) => Ok(Some(SessionMode::Single)),
            (Some(true), ..) => Ok(Some(SessionMode::Uncoordinated)),
            (_, _, Some(false)) => Ok(Some(SessionMode::Single)),
            _ => Ok(Some(SessionMode::Multi)),
        }
    };
    let given = |option: bool| option.then_some(true);
    let options = [given(args.no_coordination), given(args.single_session), given(args.multi_session)];
    if let Some(mode) = said(&options).map_err(CliError::usage)? {
        return Ok(mode);
    }
    let keys = ["no_coordination", "single_session", "multi_session"];
    Ok(layers.flags_together(&keys, said)?.unwrap_or(SessionMode::Multi))
}

fn notify(args: &CoordinationArgs, layers: &Layers) -> Result<bool, CliError> {
    if args.cross_session_notify || args.no_cross_session_notify {
        return Ok(args.cross_session_notify);
    }
    let said = |flags: &[Option<bool>]| {
        let [yes, no] = flags else { return Ok(None) };
        match (yes, no) {
            (Some(yes), Some(no)) if yes == no => {
                Err("cross_session_notify and no_cross_session_notify contradict each other".to_owned())
            }
            (yes, no) => Ok(yes.or(no.map(|no| !no))),
        }
    };
    let keys = ["cross_session_notify", "no_cross_session_notify"];
    Ok(layers.flags_together(&keys, said)?.unwrap_or(true))
}

fn isolation(args: &CoordinationArgs, layers: &Layers) -> Result<Isolation, CliError> {
    if let Some(level) = args.isolation {
        return Ok(level.into());
    }
    match layers.text("isolation")? {
        None => Ok(Isolation::default()),
        Some(name) => name.parse().map_err(|_| {
            let names = Isolation::ALL.map(Isolation::name).join(", ");
            CliError::usage(format!("isolation: `{name}` is none of {names}"))
        }),
    }
}

impl From<IsolationLevel> for Isolation {
    fn from(level: IsolationLevel) -> Self {
        match level {
            IsolationLevel::Complete => Self::Complete,
            IsolationLevel::SharedLearning => Self::SharedLearning,
            IsolationLevel::Unified => Self::Unified,
        }
    }
}

fn color(args: &GlobalArgs, layers: &Layers) -> Result<ColorWhen, CliError> {
    if let Some(when) = args.color {
        return Ok(when);
    }
    match layers.text("color")?.as_deref() {
        None | Some("auto") => Ok(ColorWhen::Auto),
        Some("always") => Ok(ColorWhen::Always),
        Some("never") => Ok(ColorWhen::Never),
        Some(other) => Err(CliError::usage(format!("color: `{other}` is none of auto, always, never"))),
    }
}

fn statusline_timeout(layers: &Layers) -> Result<Duration, CliError> {
    const DEFAULT: Duration = Duration::from_secs(1);
    let key = "statusline_timeout_ms";
    let wrong = || layers.wrong(key, "a number of milliseconds, 1 to 60000");
    let millis = match set_variable(&variable(key)) {
        Some(value) => value.to_str().and_then(|value| value.parse().ok()),
        None => match layers.file.get(key) {
            None => return Ok(DEFAULT),
            Some(value) => value.as_integer(),
        },
    };
    let millis: i64 = millis.filter(|millis| (1..=60_000).contains(millis)).ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}

fn ways(layers: &Layers) -> Result<Ways, CliError> {
    let terminal = match layers.text("notify_terminal")?.as_deref() {
        None | Some("osc9") => TerminalWay::Sequence,
        Some("bell") => TerminalWay::Bell,
        Some("off") => TerminalWay::Off,
        Some(other) => {
            return Err(CliError::usage(format!("notify_terminal: `{other}` is none of osc9, bell, off")));
        }
    };
    let quiet = match layers.text("quiet_hours")? {
        None => None,
        Some(text) => Some(QuietHours::parse(&text).ok_or_else(|| {
            CliError::usage(format!("quiet_hours: `{text}` is no part of a day"))
                .hinted("such as 22:00-07:00")
        })?),
    };
    Ok(Ways {
        is_off: layers.flag(false, "no_notifications")?,
        command: layers.text("notify_command")?,
        no_desktop: layers.flag(false, "no_notify_desktop")?,
        terminal,
        quiet,
    })
}

fn policy(layers: &Layers) -> Result<Policy, CliError> {
    let Some(name) = layers.text("policy")? else { return Ok(Policy::default()) };
    let wrong = || CliError::usage(format!("policy: `{name}` is none of off, observe, enforce"));
    Policy::from_name(&name).ok_or_else(wrong)
}

fn own_priority() -> Result<Option<Priority>, CliError> {
    let name = &variable("priority");
    let Some(value) = set_variable(name) else { return Ok(None) };
    let level = value.to_string_lossy().parse();
    level.map(Some).map_err(|error| CliError::usage(name.as_str()).because(error))
}

/// Reads the table of scopes and levels.
fn priorities(layers: &Layers) -> Result<Priorities, CliError> {
    let wrong =
        || layers.wrong("priority", "a table of scopes and levels, such as \"~/shop\" = \"critical\"");
    let Some(value) = layers.file.get("priority") else { return Ok(Priorities::default()) };
    let table = value.as_table().ok_or_else(wrong)?;
    let rules = table.iter().map(|(scope, level)| {
        let level = level.as_str().and_then(|level| level.parse().ok()).ok_or_else(wrong)?;
        Ok((expanded(scope).to_string_lossy().into_owned(), level))
    });
    rules.collect::<Result<Vec<_>, CliError>>().map(Priorities::new)
}

/// Splits a list at its commas; one that is no text is taken for a single path, lest its bytes be changed.
fn split_paths(list: OsString) -> Vec<PathBuf> {
    match list.to_str() {
        Some(list) => list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(expanded).collect(),
        None => vec![PathBuf::from(list)],
    }
}

/// Replaces a leading `~`, which no shell expands in a variable or a file.
pub(crate) fn expanded(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if text == "~" => home().unwrap_or_else(|| PathBuf::from(text)),
        _ => PathBuf::from(text),
    }
}

/// Replaces a leading `~` where the path is a text; no other path is changed.
fn expanded_os(path: OsString) -> PathBuf {
    path.to_str().map(expanded).unwrap_or_else(|| PathBuf::from(path))
}

/// Returns the user's home folder.
pub(crate) fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Returns a base folder by its variable, which must be absolute, or below the home folder.
fn base_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
    set.or_else(|| home().map(|home| home.join(below_home)))
}
