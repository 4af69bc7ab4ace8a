//! How much a session matters, and who says so: levels by project, session or pattern.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How much a session matters when an account's limits run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// It can wait: it is slowed first and stopped while a limit is spent.
    Background,
    /// As most.
    #[default]
    Normal,
    /// It is never slowed; it is only told.
    Critical,
}

impl Priority {
    /// Every level, the least first.
    pub const ALL: [Self; 3] = [Self::Background, Self::Normal, Self::Critical];

    /// Returns the name that options use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is none of `critical`, `normal` and `background`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no priority {0:?} (critical, normal, background)")]
pub struct UnknownPriority(String);

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(name: &str) -> Result<Self, UnknownPriority> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| UnknownPriority(name.to_owned()))
    }
}

/// Whose priority is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The folder it works in.
    pub folder: Option<&'a Path>,
    /// The session, in its five-part form.
    pub session: Option<&'a str>,
    /// The conversation.
    pub conversation: Option<&'a str>,
}

/// Who has which priority; whoever is not named is normal.
///
/// A scope is one of three, told apart by its text: a **pattern** holds `*` (any characters) or `?` (one), a **project**
/// is an absolute path and holds for all below it, anything else is a **session** by its five-part id, the first
/// four parts of it, its place (`pts/3`), or a conversation. A session goes before a project and a project before a
/// pattern; of several the longest decides.
///
/// ```
/// use session_coordinator::{Priorities, Priority, Subject};
/// let rules = [("/work", Priority::Background), ("/work/shop", Priority::Critical), ("*/try-*", Priority::Background)];
/// let priorities = Priorities::new(rules.map(|(scope, level)| (scope.to_owned(), level)));
/// let of = |folder: &str| priorities.of(Subject { folder: Some(folder.as_ref()), ..Subject::default() });
/// assert_eq!(of("/work/shop/front"), Priority::Critical);
/// assert_eq!(of("/work/shopping"), Priority::Background);
/// assert_eq!(of("/home/try-1"), Priority::Background);
/// assert_eq!(of("/home"), Priority::Normal);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priorities(Vec<(String, Priority)>);

impl Priorities {
    /// Makes rules of scopes and levels.
    pub fn new(rules: impl IntoIterator<Item = (String, Priority)>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// Returns the rules, in their order.
    pub fn rules(&self) -> &[(String, Priority)] {
        &self.0
    }

    /// Returns the priority of a session.
    pub fn of(&self, subject: Subject<'_>) -> Priority {
        let matching = self.0.iter().filter_map(|(scope, level)| Some((rank(scope, subject)?, *level)));
        // Of rules that match alike the one that slows least counts.
        matching.max().map_or(Priority::Normal, |(_, level)| level)
    }
}

/// How well a scope fits, `None` where it does not.
fn rank(scope: &str, subject: Subject<'_>) -> Option<(u8, usize)> {
    let Subject { folder, session, conversation } = subject;
    if scope.contains(['*', '?']) {
        let texts = [folder.and_then(Path::to_str), session, conversation];
        let fits = texts.into_iter().flatten().any(|text| matches(scope.as_bytes(), text.as_bytes()));
        return fits.then_some((0, scope.len()));
    }
    if Path::new(scope).is_absolute() {
        return folder?.starts_with(scope).then(|| (1, Path::new(scope).components().count()));
    }
    let is_session = session.is_some_and(|id| {
        id == scope || id.strip_prefix(scope).is_some_and(|rest| rest.starts_with(':')) && !scope.is_empty()
    });
    (is_session || conversation == Some(scope)).then_some((2, scope.len()))
}

/// Whether a text is as a pattern says, in time that grows with the product of both lengths at worst.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how much it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, from) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, text: &str, fits: bool| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        };
        check("*", "", true);
        check("", "", true);
        check("?", "", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyy", false);
        check("*ab", "aab", true);
        check("a?c", "abc", true);
        check("**", "x", true);
        check("abc", "ab", false);
    }

    #[test]
    fn a_session_goes_before_a_project_and_a_project_before_a_pattern() {
        let level = |rules: &[(&str, Priority)]| {
            let rules = rules.iter().map(|(scope, level)| ((*scope).to_owned(), *level));
            Priorities::new(rules).of(Subject {
                folder: Some(Path::new("/work/shop")),
                session: Some("pts/1:local:herb:workstation:12345"),
                conversation: Some("c3fb74ec"),
            })
        };
        use Priority::{Background, Critical, Normal};
        assert_eq!(level(&[]), Normal);
        assert_eq!(level(&[("pts/1", Background), ("/work", Critical)]), Background);
        assert_eq!(level(&[("pts/1:local:herb:workstation", Background)]), Background);
        assert_eq!(
            level(&[("pts/1:local:herb:workstation:12345", Critical), ("pts/1", Background)]),
            Critical
        );
        assert_eq!(level(&[("c3fb74ec", Background)]), Background);
        assert_eq!(level(&[("pts/", Background), ("pts", Background), ("", Background)]), Normal);
        assert_eq!(level(&[("*", Critical), ("/", Background)]), Background);
        assert_eq!(level(&[("*shop*", Background), ("*", Critical)]), Background);
        assert_eq!(level(&[("/work/shop/", Critical), ("/work/shop", Background)]), Critical);
        assert_eq!(level(&[("work/shop", Background)]), Normal, "a relative path is no project");
    }
}
