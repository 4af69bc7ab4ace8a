//! `claudewatch setup`: our hooks and status line into Claude Code's settings, and out of them again.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::args::{Cli, SetupArgs};
use crate::context::{Context, print, print_json};
use crate::error::{CliError, exit};
use crate::printable::printable;
use crate::setup::plan::{self, Planned, Unfit, Wanted};
use crate::setup::plugin;

/// Settings are some KiB; what is larger than this is none.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize)]
struct SetupOut {
    schema_version: u32,
    files: Vec<FileOut>,
}

#[derive(Serialize)]
struct FileOut {
    path: String,
    changed: bool,
    changes: Vec<String>,
    remarks: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &SetupArgs) -> Result<(), CliError> {
    let program = program()?;
    if let Some(folder) = &args.plugin {
        return write_plugin(context, folder, &program);
    }
    if !args.uninstall {
        check_managed()?;
    }
    let mut edits = Vec::new();
    for path in settings_files(&context.config.claude_dirs)? {
        let file = SettingsFile::read(&path)?;
        let planned = if args.uninstall { file.without_ours(context)? } else { file.with_ours(&program)? };
        edits.push((file, planned));
    }
    if args.print {
        let texts = edits.iter().map(|(_, planned)| planned.as_ref().map_or("", |it| it.text.as_str()));
        return print(&texts.collect::<String>());
    }
    let wanted: Vec<_> = edits.iter().filter_map(|(file, planned)| Some((file, planned.as_ref()?))).collect();
    let wanted: Vec<_> = wanted.into_iter().filter(|(file, planned)| file.differs(planned)).collect();
    if !context.config.json {
        for (file, planned) in &edits {
            print(&shown(file, planned.as_ref(), args.uninstall))?;
        }
    }
    let is_done = !args.dry_run && !wanted.is_empty() && is_wanted(args)?;
    if is_done {
        for (file, planned) in &wanted {
            file.replace(context, planned, args.uninstall)?;
        }
    }
    if context.config.json {
        let files: Vec<_> = edits
            .iter()
            .map(|(file, planned)| {
                let planned = planned.clone().unwrap_or_default();
                FileOut {
                    path: file.path.display().to_string(),
                    changed: is_done && file.differs(&planned),
                    changes: planned.changes,
                    remarks: planned.remarks,
                }
            })
            .collect();
        return print_json(&SetupOut { schema_version: 1, files });
    }
    if args.dry_run && !wanted.is_empty() {
        print("Nothing was changed.\n")?;
    } else if is_done {
        print(if args.uninstall { "Done.\n" } else { DONE })?;
    } else if !wanted.is_empty() {
        print("Nothing was changed.\n")?;
        context.end_with(exit::NOTHING);
    }
    Ok(())
}

const DONE: &str = "Done. Sessions that run already take it over by themselves; to take it out: claudewatch setup --uninstall\n";

/// A file of settings as it is now.
struct SettingsFile {
    /// As the user knows it.
    path: PathBuf,
    /// Behind all links.
    target: PathBuf,
    /// What it holds; `None` where there is no file.
    text: Option<String>,
}

impl SettingsFile {
    fn read(path: &Path) -> Result<Self, CliError> {
        let cannot = |why: &str| CliError::store(format!("{} is left as it is: {why}", path.display()));
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
                return Ok(Self { path: path.to_owned(), target: path.to_owned(), text: None });
            }
            Err(error) => return Err(cannot("it leads nowhere").because(error)),
        };
        let metadata = fs::metadata(&target).map_err(|error| cannot("it cannot be read").because(error))?;
        if !metadata.is_file() {
            return Err(cannot("it is no file"));
        }
        if metadata.len() > BYTES_MAX {
            return Err(cannot("it is larger than settings can be"));
        }
        let bytes = fs::read(&target).map_err(|error| cannot("it cannot be read").because(error))?;
        let text = String::from_utf8(bytes).map_err(|error| cannot("it is no UTF-8").because(error))?;
        Ok(Self { path: path.to_owned(), target, text: Some(text) })
    }

    fn with_ours(&self, program: &Path) -> Result<Option<Planned>, CliError> {
        let wanted = Wanted { program, status_line: has_status_line() };
        plan::install(self.text.as_deref().unwrap_or_default(), wanted)
            .map(Some)
            .map_err(|unfit| self.unfit(unfit))
    }

    /// Plans to put the file back as it was; where it was edited since, to take out what is ours alone.
    fn without_ours(&self, context: &Context) -> Result<Option<Planned>, CliError> {
        let Some(text) = &self.text else { return Ok(None) };
        let kept = Kept::of(context, &self.path);
        let before = kept.before();
        let mut planned = plan::uninstall(text, before.as_deref()).map_err(|unfit| self.unfit(unfit))?;
        if planned.changes.is_empty() {
            return Ok(Some(planned));
        }
        if kept.after().as_deref() == Some(text) {
            planned.text = before.unwrap_or_default();
        } else if kept.after().is_some() {
            planned.remarks.push("it was edited since the setup: only what is ours is taken out".to_owned());
        }
        Ok(Some(planned))
    }

    fn unfit(&self, Unfit(why): Unfit) -> CliError {
        CliError::store(format!("{} is left as it is: {why}", self.path.display())).hinted(
            "put what `claudewatch setup --plugin DIR` writes into it by hand, or use that as a plugin",
        )
    }

    fn differs(&self, planned: &Planned) -> bool {
        self.text.as_deref().unwrap_or_default() != planned.text
    }

    /// Writes the planned text in the file's place, at once and with its mode.
    fn replace(&self, context: &Context, planned: &Planned, uninstall: bool) -> Result<(), CliError> {
        let cannot = |error: io::Error| {
            CliError::store(format!("cannot write {}", self.path.display()))
                .because(error)
                .hinted("nothing was changed; what another program manages is to be changed there")
        };
        let permissions =
            self.text.as_ref().map(|_| fs::metadata(&self.target)).transpose().map_err(cannot)?;
        let permissions = permissions.map(|it| it.permissions());
        if permissions.as_ref().is_some_and(fs::Permissions::readonly) {
            return Err(cannot(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
                .hinted(format!("the file is read-only: chmod u+w {}", self.target.display())));
        }
        let kept = Kept::of(context, &self.path);
        if !uninstall {
            // Settings that hold ours already are no state to go back to.
            let before = match (&self.text, kept.after() == self.text && self.text.is_some()) {
                (_, true) => None,
                (Some(text), false) => Some(plan::uninstall(text, None).map_or(text.clone(), |it| it.text)),
                (None, false) => Some(String::new()),
            };
            kept.write(before.as_deref(), self.text.is_some(), &planned.text).map_err(|error| {
                CliError::store(format!("cannot keep a copy in {}", kept.0.display())).because(error)
            })?;
        }
        let now = fs::read(&self.target).ok();
        if now.as_deref() != self.text.as_deref().map(str::as_bytes) {
            return Err(cannot(io::Error::other("it was changed meanwhile")));
        }
        if uninstall && kept.was_missing() && planned.text.is_empty() {
            fs::remove_file(&self.target).map_err(cannot)?;
        } else {
            let folder = self.target.parent().unwrap_or(Path::new("."));
            if self.text.is_none() {
                fs::create_dir_all(folder).map_err(cannot)?;
            }
            let mut file = NamedTempFile::new_in(folder).map_err(cannot)?;
            file.write_all(planned.text.as_bytes()).map_err(cannot)?;
            if let Some(permissions) = permissions {
                file.as_file().set_permissions(permissions).map_err(cannot)?;
            }
            file.as_file().sync_all().map_err(cannot)?;
            file.persist(&self.target).map_err(|error| cannot(error.error))?;
        }
        if uninstall {
            kept.forget();
        }
        Ok(())
    }
}

/// What settings were before our setup and after it, in our own data folder.
struct Kept(PathBuf);

impl Kept {
    fn of(context: &Context, path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let hash =
            absolute.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self(context.config.data_dir.join("setup").join(format!("{hash:016x}")))
    }

    /// The text before; an empty one where there was no file.
    fn before(&self) -> Option<String> {
        fs::read_to_string(self.0.join("before.json")).ok()
    }

    fn after(&self) -> Option<String> {
        fs::read_to_string(self.0.join("after.json")).ok()
    }

    fn was_missing(&self) -> bool {
        self.0.join("missing").exists()
    }

    fn write(&self, before: Option<&str>, existed: bool, after: &str) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)?;
        let put = |name: &str, text: &str| -> io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.0)?;
            file.write_all(text.as_bytes())?;
            file.persist(self.0.join(name)).map_err(|error| error.error)?;
            Ok(())
        };
        if let Some(before) = before {
            put("before.json", before)?;
            if !existed {
                put("missing", "")?;
            }
        }
        put("after.json", after)
    }

    fn forget(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the files of user settings: of each config folder that there is, or of the one that Claude Code would make.
fn settings_files(claude_dirs: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let existing: Vec<&PathBuf> = claude_dirs.iter().filter(|dir| dir.is_dir()).collect();
    let dirs = if existing.is_empty() { claude_dirs.last().into_iter().collect() } else { existing };
    Ok(dirs.into_iter().map(|dir| dir.join("settings.json")).collect())
}

/// Says what is to be done with a file.
fn shown(file: &SettingsFile, planned: Option<&Planned>, uninstall: bool) -> String {
    let mut out = format!("{}\n", printable(&file.path.to_string_lossy()));
    let changes = planned.map(|it| it.changes.as_slice()).unwrap_or_default();
    if changes.is_empty() {
        out.push_str(if uninstall {
            "  nothing of ours is in it\n"
        } else {
            "  everything is in it already\n"
        });
    }
    let sign = if uninstall { '-' } else { '+' };
    for change in changes {
        out.push_str(&format!("  {sign} {}\n", printable(change)));
    }
    for remark in planned.map(|it| it.remarks.as_slice()).unwrap_or_default() {
        out.push_str(&format!("  {}\n", printable(remark)));
    }
    out
}

/// Asks, unless that was answered by an option.
fn is_wanted(args: &SetupArgs) -> Result<bool, CliError> {
    if args.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(
            CliError::usage("there is no terminal to ask on").hinted("add --yes, or --dry-run to look only")
        );
    }
    print("Write this? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn has_status_line() -> bool {
    Cli::command().find_subcommand("statusline").is_some()
}

/// Returns where our program lies: by the name it is found by, which outlives an update, else by its own path.
pub(crate) fn program() -> Result<PathBuf, CliError> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::store("cannot find this program").because(error))?;
    let own_real = own.canonicalize().unwrap_or_else(|_| own.clone());
    let name = own.file_name().unwrap_or_default();
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|folder| folder.join(name));
    let found = found.filter(|path| path.is_absolute());
    Ok(found.into_iter().find(|path| path.canonicalize().is_ok_and(|real| real == own_real)).unwrap_or(own))
}

/// Refuses where an administrator allows no hooks but their own.
fn check_managed() -> Result<(), CliError> {
    let place = if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode/managed-settings.json"
    } else if cfg!(windows) {
        r"C:\Program Files\ClaudeCode\managed-settings.json"
    } else {
        "/etc/claude-code/managed-settings.json"
    };
    let text = fs::read_to_string(place).unwrap_or_default();
    match forbidden_by(&text) {
        Some(key) => Err(CliError::store(format!("hooks are not allowed here: {place} says `{key}`"))
            .hinted(
                "ask whoever manages this machine to add the hooks that `claudewatch setup --print` shows",
            )),
        None => Ok(()),
    }
}

fn forbidden_by(managed: &str) -> Option<&'static str> {
    let settings: serde_json::Value = serde_json::from_str(managed).ok()?;
    let keys = ["allowManagedHooksOnly", "disableAllHooks"];
    keys.into_iter().find(|key| settings.get(*key).and_then(serde_json::Value::as_bool) == Some(true))
}

/// Writes the plugin into a folder that is empty or holds an earlier one.
fn write_plugin(context: &Context, folder: &Path, program: &Path) -> Result<(), CliError> {
    let is_free = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(CliError::store(format!("cannot read {}", folder.display())).because(error)),
    };
    let manifest = fs::read_to_string(folder.join(plugin::MANIFEST)).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    if !is_free && manifest["name"] != "claudewatch" {
        return Err(
            CliError::usage(format!("{} holds something else", folder.display())).hinted("name a new folder")
        );
    }
    for (path, text) in plugin::files(program) {
        let path = folder.join(path);
        let cannot = |error| CliError::store(format!("cannot write {}", path.display())).because(error);
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(cannot)?;
        fs::write(&path, text).map_err(cannot)?;
    }
    context.remark(&format!(
        "a plugin is in {0}; to use it: claude plugin marketplace add {0} && claude plugin install claudewatch@claudewatch",
        folder.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managed_settings_that_forbid_hooks() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(forbidden_by(text), expected, "{text}");
        check("", None);
        check("{}", None);
        check("{\"allowManagedHooksOnly\": false}", None);
        check("{\"allowManagedHooksOnly\": true}", Some("allowManagedHooksOnly"));
        check("{\"disableAllHooks\": true}", Some("disableAllHooks"));
    }
}
