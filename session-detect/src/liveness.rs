//! Whether a process of which only the identity was kept still lives.

use crate::classify::identity;
use crate::error::ErrorKind;
use crate::facts::Facts;
use crate::process::ProcessId;

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// It lives.
    Alive,
    /// It ended; its number may be another process's by now.
    Ended,
    /// It belongs to another machine, boot or process namespace, or may not be seen.
    Unknown,
}

impl ProcessId {
    /// Tells whether the process still lives, as far as that can be seen from here; about 0.2 ms.
    ///
    /// On a shared disk an identity may come from another machine: that is [`Liveness::Unknown`], never
    /// [`Liveness::Ended`]. A shell that runs no more has ended its session, so this tells of sessions, too.
    ///
    /// ```
    /// use session_detect::{Liveness, ProcessId};
    ///
    /// let elsewhere = ProcessId::linux(7, 4_026_531_836, 1, 0);
    /// assert_eq!(elsewhere.liveness(), Liveness::Unknown);
    /// if let Some(key) = session_detect::detect().key {
    ///     assert_eq!(key.leader().liveness(), Liveness::Alive);
    /// }
    /// ```
    pub fn liveness(self) -> Liveness {
        let of = |facts: &Facts| facts.ancestry.first().and_then(|own| identity(facts, own));
        let comparable = |other: ProcessId| {
            (other.system(), other.boot(), other.pid_namespace())
                == (self.system(), self.boot(), self.pid_namespace())
        };
        if !of(&Facts::capture()).is_some_and(comparable) {
            return Liveness::Unknown;
        }
        match Facts::capture_of(self.pid()) {
            Ok(facts) if of(&facts) == Some(self) => Liveness::Alive,
            Ok(_) => Liveness::Ended,
            Err(error) if error.kind() == ErrorKind::NotFound => Liveness::Ended,
            Err(_) => Liveness::Unknown,
        }
    }
}
