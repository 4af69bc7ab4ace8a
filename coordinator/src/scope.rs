//! Who may see what: scopes and isolation levels, as pure functions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use session_detect::IsolationKey;

use crate::account::AccountId;

/// What a monitor looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One project: a folder and all below it.
    Project(PathBuf),
    /// Every project of the user.
    Everything,
}

impl Scope {
    /// Returns whether a folder is looked at.
    ///
    /// ```
    /// use session_coordinator::Scope;
    /// use std::path::Path;
    /// let scope = Scope::Project("/work/shop".into());
    /// assert!(scope.contains(Path::new("/work/shop/front")));
    /// assert!(!scope.contains(Path::new("/work/shopping")));
    /// assert!(Scope::Everything.contains(Path::new("/")));
    /// ```
    pub fn contains(&self, folder: &Path) -> bool {
        match self {
            Self::Project(project) => folder.starts_with(project),
            Self::Everything => true,
        }
    }

    /// Returns 64 bits that stand for the scope in file names; every version computes the same (FNV-1a).
    pub(crate) fn fingerprint(&self) -> u64 {
        let bytes = match self {
            Self::Project(project) => project.as_os_str().as_encoded_bytes(),
            Self::Everything => b"*",
        };
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

/// How much a session shares with the others of its user.
///
/// Ordered from the one that shares least. Between two sessions the stricter level of both decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// Only that the session is there.
    Complete,
    /// What was learned of the account, and its limits; no usage.
    SharedLearning,
    /// Everything: reports join all sessions.
    #[default]
    Unified,
}

impl Isolation {
    /// Every level, the one that shares least first.
    pub const ALL: [Self; 3] = [Self::Complete, Self::SharedLearning, Self::Unified];

    /// Returns the name that options use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::SharedLearning => "shared-learning",
            Self::Unified => "unified",
        }
    }

    /// Returns whether two different sessions of these levels share something, as far as accounts allow: the stricter
    /// level of both decides.
    pub fn shares(self, asset: Asset, other: Self) -> bool {
        asset.least() <= self.min(other)
    }

    /// Returns whether a session of this level takes part in the board, that is: posts, reads, and may lead.
    pub fn uses_board(self) -> bool {
        self >= Asset::Notices.least()
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is none of `complete`, `shared-learning` and `unified`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no isolation level {0:?} (complete, shared-learning, unified)")]
pub struct UnknownIsolation(String);

impl FromStr for Isolation {
    type Err = UnknownIsolation;

    fn from_str(name: &str) -> Result<Self, UnknownIsolation> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| UnknownIsolation(name.to_owned()))
    }
}

/// Something of a session that another one might see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Asset {
    /// That it is there, and where.
    Presence,
    /// What it tells the others: limit hits above all, which belong to the account.
    Notices,
    /// What it saw of the account's limits and learned from it.
    Learned,
    /// Its store: the usage that joined reports are made of.
    Usage,
}

impl Asset {
    /// Every asset.
    pub const ALL: [Self; 4] = [Self::Presence, Self::Notices, Self::Learned, Self::Usage];

    /// Returns the strictest level at which it is still shared.
    fn least(self) -> Isolation {
        match self {
            Self::Presence => Isolation::Complete,
            Self::Notices | Self::Learned => Isolation::SharedLearning,
            Self::Usage => Isolation::Unified,
        }
    }

    /// Returns whether it belongs to an account, so that sessions of another account have no use for it.
    fn is_of_account(self) -> bool {
        matches!(self, Self::Notices | Self::Learned)
    }
}

/// One side of the question who may see what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The session.
    pub key: IsolationKey,
    /// How much it shares.
    pub isolation: Isolation,
    /// The accounts it uses.
    pub accounts: Vec<AccountId>,
}

impl Party {
    /// Returns whether this session may see something of another one.
    ///
    /// A session always sees its own. Of others it sees what the stricter of both levels shares; what belongs to an
    /// account is seen by sessions of that account.
    ///
    /// ```
    /// use session_coordinator::{Asset, Isolation, Party};
    /// let party = |text: &str, isolation| Party {
    ///     key: text.parse().unwrap(),
    ///     isolation,
    ///     accounts: vec!["a".into()],
    /// };
    /// let me = party("pts/1:local:ada:host:1~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.1.a", Isolation::Unified);
    /// let her = party("pts/2:local:ada:host:2~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.2.b", Isolation::SharedLearning);
    /// assert!(me.sees(Asset::Learned, &her));
    /// assert!(!me.sees(Asset::Usage, &her));
    /// ```
    pub fn sees(&self, asset: Asset, other: &Party) -> bool {
        let shares_account = || other.accounts.iter().any(|account| self.accounts.contains(account));
        self.key == other.key
            || (self.isolation.shares(asset, other.isolation) && (!asset.is_of_account() || shares_account()))
    }
}
