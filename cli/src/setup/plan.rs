//! What is to be changed in a text of settings, as pure functions from text to text.

use std::path::Path;

use serde_json::{Value, json};

use super::{command, text};
use crate::host::hook::HookEvent;

/// How long Claude Code waits for a hook, in seconds. Before tool calls it is longer than any wait of ours.
const TIMEOUT: u64 = 10;
const TOOL_TIMEOUT: u64 = 30;
/// How often Claude Code asks for our status line besides with each answer: a terminal at rest, too, is to tell of a limit that
/// another one hit. A user's own command stays asked as often as it was.
const REFRESH_SECONDS: u64 = 5;
const HOOK: &str = "hook";
const STATUS_LINE: &str = "statusline";

/// What ought to stand in the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Our program.
    pub(crate) program: &'a Path,
    /// Whether the status line is ours too.
    pub(crate) status_line: bool,
}

/// A text of settings and what was changed in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) text: String,
    /// For people, a line each.
    pub(crate) changes: Vec<String>,
    /// What was left alone although it might have been expected.
    pub(crate) remarks: Vec<String>,
}

/// Why settings are left as they are, as part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) String);

/// Returns the hooks as they stand in settings and in a plugin.
pub(crate) fn hooks(program: &str) -> Vec<(&'static str, Value)> {
    let group = |event: HookEvent| {
        let timeout = if event == HookEvent::PreToolUse { TOOL_TIMEOUT } else { TIMEOUT };
        json!([{"hooks": [{"type": "command", "command": program, "timeout": timeout}]}])
    };
    HookEvent::ALL.into_iter().map(|event| (event.name(), group(event))).collect()
}

/// Puts what is wanted into settings; an empty text is that of no settings.
pub(crate) fn install(settings: &str, wanted: Wanted<'_>) -> Result<Planned, Unfit> {
    check(settings)?;
    if is_installed(settings, wanted) {
        return Ok(Planned { text: settings.to_owned(), ..Planned::default() });
    }
    // What an earlier version or another place of the program left is replaced.
    let Planned { text: mut planned, changes: removed, mut remarks } = uninstall(settings, None)?;
    let mut changes: Vec<String> = Vec::new();
    if !removed.is_empty() {
        changes.push("take out what an earlier setup put in".to_owned());
    }
    let (bom, body) = split_bom(&planned);
    let mut body = if body.trim().is_empty() { "{}\n".to_owned() } else { body.to_owned() };
    let line = command::line(wanted.program, HOOK);
    let root = text::root(&body);
    if text::find(&body, &root, "hooks").is_none() {
        text::append(&mut body, &root, Some("hooks"), &json!({}));
    }
    for (event, groups) in hooks(&line) {
        let root = text::root(&body);
        let Some(hooks) = text::find(&body, &root, "hooks") else { continue };
        match text::find(&body, &hooks.value, event) {
            Some(there) => text::append(&mut body, &there.value, None, &groups[0]),
            None => text::append(&mut body, &hooks.value, Some(event), &groups),
        }
    }
    let names: Vec<&str> = HookEvent::ALL.into_iter().map(HookEvent::name).collect();
    changes.push(format!("a hook for {}: {line}", names.join(", ")));
    if wanted.status_line {
        match status_line(&mut body, wanted.program) {
            Ok(change) => changes.push(change),
            Err(remark) => remarks.push(remark),
        }
    }
    planned = format!("{bom}{body}");
    Ok(Planned { text: planned, changes, remarks })
}

/// Takes what is ours out of settings. Members that stood there `before`, even empty, stay.
pub(crate) fn uninstall(settings: &str, before: Option<&str>) -> Result<Planned, Unfit> {
    check(settings)?;
    let (bom, body) = split_bom(settings);
    if body.trim().is_empty() {
        return Ok(Planned { text: settings.to_owned(), ..Planned::default() });
    }
    let before: Value =
        before.and_then(|text| serde_json::from_str(split_bom(text).1).ok()).unwrap_or_default();
    let mut body = body.to_owned();
    let mut changes = Vec::new();
    let events: Vec<String> = match text::find(&body, &text::root(&body), "hooks") {
        Some(hooks) => text::members(&body, &hooks.value).into_iter().map(|it| it.key).collect(),
        None => Vec::new(),
    };
    for event in events {
        if take_out_hooks(&mut body, &event, before.pointer("/hooks").and_then(|it| it.get(&event)).is_some())
        {
            changes.push(format!("the hook for {event}"));
        }
    }
    let root = text::root(&body);
    if let Some(hooks) = text::find(&body, &root, "hooks")
        && !changes.is_empty()
        && text::members(&body, &hooks.value).is_empty()
        && before.get("hooks").is_none()
    {
        take_out_member(&mut body, "hooks");
    }
    if let Some(line) = own_status_line(&body) {
        changes.push("the status line".to_owned());
        match command::former(&line) {
            Some(former) => set_status_line(&mut body, &former),
            None => take_out_member(&mut body, "statusLine"),
        }
    }
    Ok(Planned { text: format!("{bom}{body}"), changes, remarks: Vec::new() })
}

/// Returns whether settings say the same as before once ours is in, that is: nothing is to be done.
fn is_installed(settings: &str, wanted: Wanted<'_>) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(split_bom(settings).1) else { return false };
    let line = command::line(wanted.program, HOOK);
    let handlers = |event: &str| -> Vec<Value> {
        let groups = value.pointer("/hooks").and_then(|hooks| hooks.get(event)).and_then(Value::as_array);
        let handlers = groups.into_iter().flatten().filter_map(|group| group.get("hooks")?.as_array());
        handlers.flatten().filter(|handler| is_our_handler(handler)).cloned().collect()
    };
    let all_there =
        hooks(&line).iter().all(|(event, groups)| handlers(event) == [groups[0]["hooks"][0].clone()]);
    let status_line = value.pointer("/statusLine/command").and_then(Value::as_str);
    let is_ours = status_line.is_some_and(|it| {
        command::is_ours(it, STATUS_LINE)
            && command::program(it).is_some_and(|program| Path::new(&program) == wanted.program)
    });
    let is_foreign =
        value.get("statusLine").is_some_and(|it| it.get("command").is_none_or(|it| !it.is_string()));
    all_there && (!wanted.status_line || is_ours || is_foreign)
}

/// Returns whether our hooks stand in settings, and for which program.
pub(crate) fn installed_program(settings: &str, event: &str) -> Option<String> {
    let value: Value = serde_json::from_str(split_bom(settings).1).ok()?;
    let groups = value.pointer("/hooks")?.get(event)?.as_array()?;
    let handlers = groups.iter().filter_map(|group| group.get("hooks")?.as_array()).flatten();
    handlers
        .filter(|handler| is_our_handler(handler))
        .find_map(|it| command::program(it["command"].as_str()?))
}

/// Returns the program of the status line where that is ours.
pub(crate) fn installed_status_line(settings: &str) -> Option<String> {
    let value: Value = serde_json::from_str(split_bom(settings).1).ok()?;
    let line = value.pointer("/statusLine/command")?.as_str()?;
    command::program(line).filter(|_| command::is_ours(line, STATUS_LINE))
}

/// Refuses settings that cannot be changed without guessing.
fn check(settings: &str) -> Result<(), Unfit> {
    let (_, body) = split_bom(settings);
    if body.trim().is_empty() {
        return Ok(());
    }
    let value: Value = serde_json::from_str(body).map_err(|error| {
        let looks = if body.contains("//") || body.contains("/*") { "; it may hold comments" } else { "" };
        Unfit(format!("it is not plain JSON ({error}){looks}"))
    })?;
    let root = text::root(body);
    if !value.is_object() {
        return Err(Unfit("it is no JSON object".to_owned()));
    }
    let once = |place: &std::ops::Range<usize>, what: &str| {
        let mut keys: Vec<String> = text::members(body, place).into_iter().map(|it| it.key).collect();
        keys.sort();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Unfit(format!("`{}` stands twice in {what}", pair[0]))),
            None => Ok(()),
        }
    };
    once(&root, "it")?;
    let Some(hooks) = text::find(body, &root, "hooks") else { return Ok(()) };
    once(&hooks.value, "`hooks`")?;
    match value.get("hooks").and_then(Value::as_object) {
        None => Err(Unfit("`hooks` is no object in it".to_owned())),
        Some(events) => match events.iter().find(|(_, groups)| !groups.is_array()) {
            Some((event, _)) => Err(Unfit(format!("`hooks.{event}` is no list in it"))),
            None => Ok(()),
        },
    }
}

fn is_our_handler(handler: &Value) -> bool {
    handler.get("command").and_then(Value::as_str).is_some_and(|line| command::is_ours(line, HOOK))
}

/// Takes our handlers out of an event's groups, and what is empty then; returns whether there were any.
fn take_out_hooks(body: &mut String, event: &str, stays: bool) -> bool {
    let mut found = false;
    loop {
        let root = text::root(body);
        let Some(hooks) = text::find(body, &root, "hooks") else { return found };
        let Some(groups) = text::find(body, &hooks.value, event) else { return found };
        let places = text::elements(body, &groups.value);
        let ours = places.iter().enumerate().find_map(|(which, place)| {
            let handlers = text::find(body, place, "hooks")?;
            let inner = text::elements(body, &handlers.value);
            let ours = inner.iter().position(|place| is_our_handler(&text::read(body, place)))?;
            Some((which, handlers.value, inner, ours))
        });
        let Some((which, handlers, inner, ours)) = ours else {
            if found && places.is_empty() && !stays {
                let members = text::members(body, &hooks.value);
                let at = members.iter().position(|member| member.key == event);
                let items: Vec<_> = members.into_iter().map(|member| member.whole).collect();
                if let Some(at) = at {
                    text::remove(body, &hooks.value, &items, at);
                }
            }
            return found;
        };
        found = true;
        match inner.len() {
            1 => text::remove(body, &groups.value, &places, which),
            _ => text::remove(body, &handlers, &inner, ours),
        }
    }
}

fn take_out_member(body: &mut String, key: &str) {
    let root = text::root(body);
    let members = text::members(body, &root);
    let at = members.iter().position(|member| member.key == key);
    let items: Vec<_> = members.into_iter().map(|member| member.whole).collect();
    if let Some(at) = at {
        text::remove(body, &root, &items, at);
    }
}

/// Puts our status line in, before the user's own if there is one.
fn status_line(body: &mut String, program: &Path) -> Result<String, String> {
    let root = text::root(body);
    let Some(there) = text::find(body, &root, "statusLine") else {
        let line = command::status_line(program, None);
        let value = json!({"type": "command", "command": line, "refreshInterval": REFRESH_SECONDS});
        text::append(body, &root, Some("statusLine"), &value);
        return Ok(format!("the status line: {line}"));
    };
    let value = text::read(body, &there.value);
    let former = value.get("command").and_then(Value::as_str).filter(|_| value["type"] == "command");
    let Some(former) = former else {
        return Err("the status line is left as it is: it is no command".to_owned());
    };
    let line = command::status_line(program, Some(former));
    set_status_line(body, &line);
    Ok(format!("the status line, beside your own ({former}): {line}"))
}

fn set_status_line(body: &mut String, line: &str) {
    let root = text::root(body);
    let place = text::find(body, &root, "statusLine").and_then(|it| text::find(body, &it.value, "command"));
    if let Some(place) = place {
        body.replace_range(place.value, &Value::from(line).to_string());
    }
}

fn own_status_line(body: &str) -> Option<String> {
    let value = text::read(body, &text::find(body, &text::root(body), "statusLine")?.value);
    let line = value.get("command")?.as_str()?;
    command::is_ours(line, STATUS_LINE).then(|| line.to_owned())
}

fn split_bom(text: &str) -> (&str, &str) {
    match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted<'static> {
        Wanted { program: Path::new("/usr/bin/claudewatch"), status_line: true }
    }

    #[track_caller]
    fn installed(settings: &str) -> String {
        let planned = install(settings, wanted()).expect("it is plain JSON");
        let value: Value = serde_json::from_str(split_bom(&planned.text).1).expect("it stays JSON");
        for event in HookEvent::ALL {
            let groups = value["hooks"][event.name()].as_array().expect("it is a list");
            let last = &groups[groups.len() - 1]["hooks"][0];
            assert_eq!(last["command"], "/usr/bin/claudewatch hook", "{}", planned.text);
        }
        assert!(!planned.changes.is_empty());
        let again = install(&planned.text, wanted()).expect("ours is plain JSON too");
        assert_eq!((again.text, again.changes), (planned.text.clone(), vec![]), "twice is once");
        planned.text
    }

    #[test]
    fn settings_come_back_to_the_byte() {
        for settings in [
            "{}",
            "{}\n",
            "{\"model\":\"opus\"}",
            "{\n  \"model\": \"opus\",\n  \"permissions\": {\"allow\": [\"Bash(ls:*)\"]}\n}\n",
            "{\r\n\t\"model\" : \"opus\"\r\n}\r\n",
            "\u{feff}{\n    \"env\": { \"A\": \"\\u00e9 \\\" } ]\" }\n}",
            "{\n  \"hooks\": {\n    \"Stop\": [\n      {\n        \"hooks\": [\n          {\"type\": \"command\", \"command\": \"say done\"}\n        ]\n      }\n    ]\n  },\n  \"x\": 1.0e+2\n}\n",
            "{\"hooks\":{\"PreToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"check.sh\"}]}]},\"y\":[]}",
            "{\n  \"statusLine\": {\"type\": \"command\", \"command\": \"~/bar.sh 'x'\", \"padding\": 0}\n}\n",
        ] {
            let text = installed(settings);
            assert_ne!(text, settings);
            let back = uninstall(&text, Some(settings)).expect("ours is plain JSON");
            assert_eq!(back.text, settings, "{text}");
            assert!(back.changes.len() >= HookEvent::ALL.len());
            assert_eq!(
                uninstall(settings, None).map(|it| (it.text, it.changes)),
                Ok((settings.to_owned(), vec![]))
            );
        }
    }

    #[test]
    fn an_empty_file_becomes_settings() {
        for settings in ["", " \n", "\u{feff}"] {
            let text = installed(settings);
            assert_eq!(text.starts_with('\u{feff}'), settings.starts_with('\u{feff}'));
        }
    }

    #[test]
    fn the_former_status_line_goes_on() {
        let settings = r#"{"statusLine": {"type": "command", "command": "jq -r '.model'", "padding": 0}}"#;
        let value: Value = serde_json::from_str(&installed(settings)).expect("it is JSON");
        assert_eq!(value["statusLine"]["padding"], 0);
        assert_eq!(value["statusLine"].get("refreshInterval"), None, "it is asked as often as before");
        let alone: Value = serde_json::from_str(&installed("{}")).expect("it is JSON");
        assert_eq!(alone["statusLine"]["refreshInterval"], REFRESH_SECONDS);
        let line = value["statusLine"]["command"].as_str().expect("it is a text");
        assert_eq!(command::former(line).as_deref(), Some("jq -r '.model'"));
        // One of another kind is not ours to replace.
        let odd = r#"{"statusLine": {"type": "static", "text": "x"}}"#;
        let planned = install(odd, wanted()).expect("it is JSON");
        assert_eq!(planned.remarks.len(), 1);
        assert!(planned.text.contains(r#""statusLine": {"type": "static", "text": "x"}"#));
    }

    #[test]
    fn another_place_of_the_program_replaces_the_first() {
        let text = installed("{\n  \"model\": \"opus\"\n}\n");
        let moved = Wanted { program: Path::new("/opt/claudewatch"), status_line: true };
        let planned = install(&text, moved).expect("it is JSON");
        assert!(!planned.text.contains("/usr/bin/claudewatch"), "{}", planned.text);
        assert_eq!(planned.text.matches("/opt/claudewatch hook").count(), HookEvent::ALL.len());
    }

    /// The user put our handler beside another, and changed other things.
    #[test]
    fn only_ours_is_taken_out_of_what_was_edited() {
        let ours = r#"{"type":"command","command":"'/a b/claudewatch' hook --policy enforce"}"#;
        let other = r#"{"type":"command","command":"other"}"#;
        let settings = format!(
            r#"{{"hooks":{{"Stop":[{{"hooks":[{ours},{other}]}},{{"hooks":[{ours}]}}],"Other":[]}}}}"#
        );
        let planned = uninstall(&settings, None).expect("it is JSON");
        assert_eq!(planned.text, format!(r#"{{"hooks":{{"Stop":[{{"hooks":[{other}]}}],"Other":[]}}}}"#));
    }

    #[test]
    fn what_cannot_be_changed_without_guessing_is_refused() {
        let check = |settings: &str, word: &str| {
            let Err(Unfit(why)) = install(settings, wanted()) else { panic!("{settings}") };
            assert!(why.contains(word), "{why}");
            assert!(uninstall(settings, None).is_err());
        };
        check("{\n  // mine\n  \"a\": 1\n}", "comments");
        check("{\"a\": 1,}", "plain JSON");
        check("[]", "object");
        check("{\"hooks\": []}", "`hooks`");
        check("{\"hooks\": {\"Stop\": {}}}", "`hooks.Stop`");
        check("{\"hooks\": {}, \"hooks\": {}}", "twice");
        check("{\"a\": 1, \"a\": 2}", "twice");
        check(&format!("{}1{}", "[".repeat(500), "]".repeat(500)), "plain JSON");
    }
}
