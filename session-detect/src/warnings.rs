//! What could make two sessions look alike, said to people.

use crate::evidence::{Confidence, Standing};
use crate::facts::{Facts, Via};
use crate::kind::Kind;
use crate::process::System;
use crate::session::Session;

pub(crate) fn warnings(session: &Session, facts: &Facts, complete: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut warn = |holds: bool, text: String| {
        if holds {
            out.push(text);
        }
    };
    let refuted: Vec<&str> = session
        .evidence
        .iter()
        .filter(|it| it.verdict == Standing::Refuted)
        .map(|it| it.signal.as_str())
        .collect();
    warn(
        !refuted.is_empty(),
        format!("{} came from another session and told nothing here", refuted.join(", ")),
    );
    warn(
        !complete,
        "the processes above this one may not be seen (hidepid, or another user's namespace), so the kind rests on less".into(),
    );
    warn(
        session.confidence == Confidence::Inherited,
        "the terminal was born in an SSH login; who looks at it now may sit elsewhere".into(),
    );
    warn(
        session.confidence == Confidence::Claimed,
        "only an environment variable says so, and variables are inherited".into(),
    );
    warn(
        session.kind == Kind::Script && facts.ancestry.first().is_some_and(|own| own.pid == own.sid),
        "started in a session of its own (setsid, a service, a detached job): every such start counts as another session"
            .into(),
    );
    warn(
        facts.ancestry.iter().any(|process| process.via == Some(Via::ClaudePid)),
        "the program that started this one is gone; CLAUDE_PID told to which Claude Code it belongs".into(),
    );
    warn(
        session.key.is_none(),
        "too little is known for an isolation key; nothing can be kept apart by it".into(),
    );
    let unknown = session.key.as_ref().is_some_and(|key| key.leader().system() == System::Unknown);
    warn(
        unknown,
        "this system does not show processes: two monitors of one terminal count as two sessions".into(),
    );
    warn(
        session.sandbox.is_some() && session.container.is_none(),
        format!(
            "confined ({}): seen from outside, the same terminal may have another key",
            session.sandbox.as_deref().unwrap_or_default()
        ),
    );
    out
}
