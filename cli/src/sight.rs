//! Whose usage this session sees: the isolation levels, applied to the stores.
//!
//! The archive holds what no session owns and what sessions that shared everything left behind; it is seen by who
//! shares everything. What a session shares stands in its store, so that it outlives the session.

use std::sync::OnceLock;

use session_coordinator::{Asset, Isolation};
use session_detect::IsolationKey;
use session_store::{Part, Stores};

use crate::coordination::level;
use crate::others::Others;

/// This session's place among those whose usage may be seen.
#[derive(Debug)]
pub(crate) struct Sight {
    isolation: Isolation,
    /// This session, found out when it is first asked for.
    own: OnceLock<Option<IsolationKey>>,
}

impl Sight {
    pub(crate) fn new(isolation: Isolation) -> Self {
        Self { isolation, own: OnceLock::new() }
    }

    /// Makes the stores show what this session may see.
    pub(crate) fn limit(self, stores: &Stores) {
        stores.show_only(move |part| match part {
            Part::Archive => self.isolation.shares(Asset::Usage, Isolation::Unified),
            Part::Session { name, sharing } => {
                self.isolation.shares(Asset::Usage, level(sharing))
                    || self.own().is_some_and(|own| own.file_name() == name)
            }
            _ => false,
        });
    }

    /// Returns whether the usage of a session may be seen, by what its monitors and its store say; the stricter counts.
    pub(crate) fn sees_usage(&self, of: &IsolationKey, stores: &Stores, others: &Others) -> bool {
        let said = stores.sharing(&of.file_name()).ok().flatten();
        let level = level(said.as_deref()).min(others.isolation_of(of));
        self.isolation.shares(Asset::Usage, level) || self.own() == Some(of)
    }

    /// Says in this session's store what it shares, so that others respect it also when this process has ended.
    ///
    /// Where the session has another monitor that is stricter, that one's word stands. Nothing is said where everything
    /// is shared and nothing was said before: no store is made for that.
    pub(crate) fn declare(&self, stores: &Stores, others: &Others) {
        let Some(own) = self.own() else { return };
        let name = own.file_name();
        let said = stores.sharing(&name).ok().flatten();
        let wanted = self.isolation.min(others.isolation_of(own));
        if level(said.as_deref()) != wanted {
            stores.session(&name).set_sharing(wanted.name());
        }
    }

    fn own(&self) -> Option<&IsolationKey> {
        self.own.get_or_init(|| session_detect::detect().key).as_ref()
    }
}
