//! A hook call: what Claude Code writes on the standard input of a hook, and how a hook answers.
//!
//! The form is that of 2.1.330 (seen 2026-11-23); fields that came with later versions are missing in earlier ones.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};
use session_coordinator::Act;

/// What happens in Claude Code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookEvent {
    SessionStart,
    SessionEnd,
    UserPromptSubmit,
    PreToolUse,
    PostToolUse,
    SubagentStart,
    SubagentStop,
    Stop,
    StopFailure,
    Notification,
}

impl HookEvent {
    pub(crate) const ALL: [Self; 10] = [
        Self::SessionStart,
        Self::SessionEnd,
        Self::UserPromptSubmit,
        Self::PreToolUse,
        Self::PostToolUse,
        Self::SubagentStart,
        Self::SubagentStop,
        Self::Stop,
        Self::StopFailure,
        Self::Notification,
    ];

    /// Returns Claude Code's name of the event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::SessionEnd => "SessionEnd",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::PreToolUse => "PreToolUse",
            Self::PostToolUse => "PostToolUse",
            Self::SubagentStart => "SubagentStart",
            Self::SubagentStop => "SubagentStop",
            Self::Stop => "Stop",
            Self::StopFailure => "StopFailure",
            Self::Notification => "Notification",
        }
    }
}

/// A call as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookCall {
    pub(crate) event: HookEvent,
    /// Letters, digits and hyphens.
    pub(crate) conversation: String,
    /// The conversation's transcript: absolute, without steps upwards.
    pub(crate) transcript: Option<PathBuf>,
    /// The sub-agent that calls, where it is one: letters, digits and hyphens.
    pub(crate) agent: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) model: Option<String>,
    pub(crate) tool: String,
    pub(crate) act: Act,
    /// What kind of error ended the turn.
    pub(crate) error: String,
    /// The words that the turn ended with.
    pub(crate) last_words: String,
}

/// Why a call was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is of no concern: an event that nothing is done about.
    Elsewhere,
    /// It is no JSON object, or its conversation is none.
    Malformed,
}

impl HookCall {
    /// Reads a call.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Unread::Malformed)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = value.get("hook_event_name").and_then(Value::as_str).ok_or(Unread::Malformed)?;
        let event = HookEvent::ALL.into_iter().find(|it| it.name() == name).ok_or(Unread::Elsewhere)?;
        let conversation = id(text("session_id")).ok_or(Unread::Malformed)?;
        let in_background = value.pointer("/tool_input/run_in_background").and_then(Value::as_bool);
        let tool = text("tool_name").to_owned();
        Ok(Self {
            event,
            conversation,
            transcript: plain_path(text("transcript_path")),
            agent: id(text("agent_id")),
            folder: plain_path(text("cwd")).unwrap_or_default(),
            model: Some(text("model")).filter(|model| !model.is_empty()).map(str::to_owned),
            act: Act::of_tool(&tool, in_background == Some(true)),
            tool,
            error: text("error").to_owned(),
            last_words: text("last_assistant_message").to_owned(),
        })
    }

    /// Returns the transcript that tells how a turn of the caller ended: its own where it is a sub-agent.
    pub(crate) fn own_transcript(&self) -> Option<PathBuf> {
        let main = self.transcript.as_ref()?;
        Some(match &self.agent {
            Some(agent) => main.with_extension("").join(format!("subagents/agent-{agent}.jsonl")),
            None => main.clone(),
        })
    }
}

/// An answer that refuses a tool call; the model is shown the reason.
pub(crate) fn refusal(reason: &str) -> String {
    let decision = json!({
        "hookEventName": HookEvent::PreToolUse.name(),
        "permissionDecision": "deny",
        "permissionDecisionReason": reason,
    });
    json!({ "hookSpecificOutput": decision }).to_string()
}

/// An answer that shows the human a message and decides nothing.
pub(crate) fn message(text: &str) -> String {
    json!({ "systemMessage": text }).to_string()
}

fn id(text: &str) -> Option<String> {
    let is_id = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id.then(|| text.to_owned())
}

fn plain_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_plain = path.is_absolute() && path.components().all(|it| it != Component::ParentDir);
    (is_plain && text.len() < 4096).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_the_client() {
        let call = HookCall::parse(
            br#"{"session_id":"2065d55c-ad84-422a-bc2b-95bc19035d26","transcript_path":"/h/.claude/projects/-p/2065.jsonl",
            "cwd":"/p","prompt_id":"c3507cbb","permission_mode":"default","effort":{"level":"medium"},"agent_id":"adff7f5a",
            "hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"sleep 9","run_in_background":true},
            "tool_use_id":"toolu_3426a0"}"#,
        )
        .expect("it is one");
        assert_eq!(
            (call.event, call.act, call.tool.as_str()),
            (HookEvent::PreToolUse, Act::Delegate, "Bash")
        );
        assert_eq!(call.conversation, "2065d55c-ad84-422a-bc2b-95bc19035d26");
        let own = call.own_transcript().expect("it has one");
        assert_eq!(own, Path::new("/h/.claude/projects/-p/2065/subagents/agent-adff7f5a.jsonl"));
    }

    #[test]
    fn what_is_not_understood() {
        let check = |text: &str, expected: Unread| {
            assert_eq!(HookCall::parse(text.as_bytes()), Err(expected), "{text}")
        };
        check("", Unread::Malformed);
        check("[]", Unread::Malformed);
        check("{}", Unread::Malformed);
        check(r#"{"hook_event_name":7}"#, Unread::Malformed);
        check(r#"{"hook_event_name":"PreCompact"}"#, Unread::Elsewhere);
        check(r#"{"hook_event_name":"Stop"}"#, Unread::Malformed);
        check(r#"{"hook_event_name":"Stop","session_id":"../x"}"#, Unread::Malformed);
        check(r#"{"hook_event_name":"Stop","session_id":["x"]}"#, Unread::Malformed);
    }

    #[test]
    fn fields_of_another_type_count_as_missing() {
        let call = HookCall::parse(
            br#"{"hook_event_name":"PreToolUse","session_id":"c","transcript_path":["/x"],"cwd":7,"model":{},
            "tool_name":null,"tool_input":"run_in_background","agent_id":"a/b","error":1e99}"#,
        )
        .expect("what is needed is there");
        assert_eq!((call.transcript, call.agent, call.model), (None, None, None));
        assert_eq!((call.act, call.folder), (Act::Work, PathBuf::new()));
        let outside = br#"{"hook_event_name":"Stop","session_id":"c","transcript_path":"/h/../etc/passwd"}"#;
        assert_eq!(HookCall::parse(outside).map(|call| call.transcript), Ok(None));
    }
}
