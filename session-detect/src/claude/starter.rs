//! Which Claude Code a process was started by: its tools, hooks, servers and what these start.
//!
//! Claude Code marks its children by `CLAUDECODE`, `CLAUDE_PID` and `CLAUDE_CODE_SESSION_ID`. Marks are inherited for ever: a
//! multiplexer first started from a conversation hands them to every terminal that it opens later. So the processes decide,
//! and the marks only say which conversation it was.

use crate::classify::{identity, trusted};
use crate::error::Error;
use crate::evidence::Standing;
use crate::facts::{Facts, Process, Via};
use crate::names::{Role, role};
use crate::process::ProcessId;

use super::record::is_conversation;

/// The Claude Code that a process was started by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Starter {
    /// Its number, as seen from where one looks; in [`Standing::Claimed`] without an identity, as it calls itself.
    pub pid: u32,
    /// Its identity, where the facts suffice.
    pub id: Option<ProcessId>,
    /// The conversation it was in when it started the process; `/clear` may have ended that since.
    pub conversation: Option<String>,
    /// [`Standing::Verified`] where it is among the processes above; [`Standing::Claimed`] where the processes between
    /// ended, or may not be seen, and `CLAUDE_PID` named it.
    pub standing: Standing,
}

/// Tells which Claude Code this process was started by; `None` for none. Costs what [`Facts::capture`] does.
///
/// # Examples
///
/// ```
/// match session_detect::claude::starter() {
///     Some(starter) => println!("started by process {} in {:?}", starter.pid, starter.conversation),
///     None => println!("started by a human"),
/// }
/// ```
pub fn starter() -> Option<Starter> {
    Starter::of(&Facts::capture())
}

/// Tells which Claude Code another process was started by; `None` for none. Costs what [`Facts::capture_of`] does.
///
/// # Errors
///
/// As [`Facts::capture_of`].
///
/// # Examples
///
/// ```
/// let starter = session_detect::claude::starter_of(std::process::id())?;
/// assert_eq!(starter.is_some(), session_detect::claude::starter().is_some());
/// # Ok::<(), session_detect::Error>(())
/// ```
pub fn starter_of(pid: u32) -> Result<Option<Starter>, Error> {
    Ok(Starter::of(&Facts::capture_of(pid)?))
}

impl Starter {
    /// Judges some facts; pure.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_detect::claude::Starter;
    /// use session_detect::{Facts, Process};
    ///
    /// let process = |pid: u32, comm: &str| Process { pid, comm: comm.into(), start: pid.into(), ..Process::default() };
    /// let mut facts = Facts {
    ///     ancestry: vec![process(40, "make"), process(30, "bash"), process(20, "claude")],
    ///     ..Facts::default()
    /// };
    /// facts.env.insert("CLAUDE_PID".into(), "20".into());
    /// facts.env.insert("CLAUDE_CODE_SESSION_ID".into(), "c3fb74ec-40".into());
    /// let starter = Starter::of(&facts).expect("it is above");
    /// assert_eq!((starter.pid, starter.conversation.as_deref()), (20, Some("c3fb74ec-40")));
    ///
    /// facts.ancestry.pop();
    /// assert_eq!(Starter::of(&facts), None); // Only inherited marks are left.
    /// ```
    pub fn of(facts: &Facts) -> Option<Self> {
        let named = facts.env.get("CLAUDE_PID").and_then(|pid| pid.parse::<u32>().ok());
        let conversation =
            || facts.env.get("CLAUDE_CODE_SESSION_ID").filter(|id| is_conversation(id)).cloned();
        let (chain, complete) = trusted(&facts.ancestry);
        let agent =
            |process: &Process| process.err.is_none() && role(process) == Some(Role::Agent("claude-code"));
        let above = chain.iter().enumerate().skip(1).find(|(_, process)| agent(process));
        let Some((at, process)) = above else {
            let pid = named.filter(|_| !complete)?;
            return Some(Self { pid, id: None, conversation: conversation(), standing: Standing::Claimed });
        };
        let hopped = chain[..=at].iter().any(|process| process.via == Some(Via::ClaudePid));
        let standing = if hopped { Standing::Claimed } else { Standing::Verified };
        // The marks of another Claude Code further up say nothing of this one.
        let own = named.is_none_or(|named| named == process.pid_inside.unwrap_or(process.pid));
        let conversation = conversation().filter(|_| own);
        Some(Self { pid: process.pid, id: identity(facts, process), conversation, standing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(chain: &[(u32, &str)], marks: &[(&str, &str)]) -> Facts {
        let process = |(pid, comm): &(u32, &str)| Process {
            pid: *pid,
            comm: (*comm).into(),
            start: (*pid).into(),
            ..Process::default()
        };
        let env = marks.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Facts { ancestry: chain.iter().map(process).collect(), env, ..Facts::default() }
    }

    #[test]
    fn the_nearest_counts_and_foreign_marks_do_not() {
        let chain = [(50, "cat"), (40, "bash"), (30, "claude"), (20, "bash"), (10, "claude")];
        let marks = [("CLAUDE_PID", "10"), ("CLAUDE_CODE_SESSION_ID", "a-1")];
        let found = Starter::of(&facts(&chain, &marks)).expect("two are above");
        assert_eq!((found.pid, found.conversation, found.standing), (30, None, Standing::Verified));
    }

    #[test]
    fn one_is_not_its_own_starter() {
        assert_eq!(Starter::of(&facts(&[(30, "claude"), (20, "bash")], &[("CLAUDE_PID", "30")])), None);
    }

    #[test]
    fn without_marks_the_processes_tell() {
        let found = Starter::of(&facts(&[(50, "cat"), (30, "claude.exe")], &[])).expect("it is above");
        assert_eq!((found.pid, found.conversation, found.standing), (30, None, Standing::Verified));
    }

    #[test]
    fn where_nothing_may_be_seen_the_marks_are_claims() {
        let mut hidden = facts(&[(50, "cat")], &[("CLAUDE_PID", "10"), ("CLAUDE_CODE_SESSION_ID", "../x")]);
        hidden.ancestry.push(Process { pid: 40, err: Some("unreadable".into()), ..Process::default() });
        let found = Starter::of(&hidden).expect("a claim");
        assert_eq!((found.pid, found.conversation, found.standing), (10, None, Standing::Claimed));
    }
}
