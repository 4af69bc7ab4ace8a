//! The same as a plugin of Claude Code: hooks and a skill in a folder of their own, and no settings changed.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{command, plan};

/// What the skill says.
const SKILL: &str = include_str!("skill.md");
const README: &str = include_str!("plugin.md");
pub(crate) const MANIFEST: &str = ".claude-plugin/plugin.json";

/// Returns the files of the plugin, by their paths in its folder.
pub(crate) fn files(program: &Path) -> Vec<(PathBuf, String)> {
    let description = "Lets Claude Code sessions know of each other and of their account's limits.";
    let manifest = json!({
        "name": "claudewatch", "version": env!("CARGO_PKG_VERSION"), "description": description,
        "author": {"name": "The ClaudeWatch developers"}, "license": env!("CARGO_PKG_LICENSE"),
    });
    let marketplace = json!({
        "name": "claudewatch", "owner": {"name": "The ClaudeWatch developers"}, "description": description,
        "plugins": [{"name": "claudewatch", "source": "./", "description": description}],
    });
    let hooks: Map<String, Value> = plan::hooks(&command::line(program, "hook"))
        .into_iter()
        .map(|(event, it)| (event.to_owned(), it))
        .collect();
    let hooks = json!({"description": description, "hooks": hooks});
    let text = |value: &Value| format!("{value:#}\n");
    [
        (MANIFEST, text(&manifest)),
        (".claude-plugin/marketplace.json", text(&marketplace)),
        ("README.md", README.to_owned()),
        ("hooks/hooks.json", text(&hooks)),
        (
            "skills/claudewatch/SKILL.md",
            SKILL.replace("{program}", &command::quoted(&program.to_string_lossy())),
        ),
    ]
    .into_iter()
    .map(|(path, text)| (PathBuf::from(path), text))
    .collect()
}
