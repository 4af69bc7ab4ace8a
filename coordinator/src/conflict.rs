//! Two monitors of one session and scope: who works and who watches. Pure.

use crate::registry::{Member, MemberId, MemberRole, Presence};

/// What a newcomer should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The session's monitor: nobody else is.
    Monitor,
    /// A viewer beside the session's monitor: that is a conflict resolved.
    ViewerOf(MemberId),
}

/// Resolves what a newcomer should be among the members that are there.
///
/// Locks decide in the end, because two may start at the same instant; this is the same decision for those who have
/// only a list. Members that do not live decide nothing, and viewers give way.
///
/// ```
/// use session_coordinator::{MemberId, Scope, Verdict, resolve};
/// let key = "pts/1:local:ada:host:7~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.7.a".parse().unwrap();
/// let newcomer = MemberId::of(&key, &Scope::Everything);
/// assert_eq!(resolve(&newcomer, &[]), Verdict::Monitor);
/// ```
pub fn resolve(newcomer: &MemberId, members: &[Member]) -> Verdict {
    let is_holder = |member: &&Member| {
        member.id == *newcomer && member.role == MemberRole::Monitor && member.presence == Presence::Alive
    };
    members.iter().find(is_holder).map_or(Verdict::Monitor, |holder| Verdict::ViewerOf(holder.id.clone()))
}
