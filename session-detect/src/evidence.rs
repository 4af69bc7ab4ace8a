//! Why a verdict is what it is: signals and what became of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One signal, and what the other facts say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The variable's name, or what was looked at: `owner`, `cgroup`, `terminal`, ….
    pub signal: String,
    /// What it said.
    pub value: String,
    /// Whether that holds.
    pub verdict: Standing,
}

/// What a signal is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Standing {
    /// Other facts say the same.
    Verified,
    /// Nothing confirms or refutes it.
    Claimed,
    /// It was true where it came from, and may not be any more.
    Inherited,
    /// Other facts say the contrary.
    Refuted,
}

/// How far a verdict can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Confidence {
    /// Nothing spoke for anything else; it is what is left.
    Assumed,
    /// Only a variable says so.
    Claimed,
    /// It was so when the terminal was born.
    Inherited,
    /// The processes say so; no variable was needed.
    Verified,
}

impl Confidence {
    /// Returns the name: `assumed`, `claimed`, `inherited` or `verified`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Claimed => "claimed",
            Self::Inherited => "inherited",
            Self::Verified => "verified",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Standing {
    /// Returns the name: `verified`, `claimed`, `inherited` or `refuted`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Claimed => "claimed",
            Self::Inherited => "inherited",
            Self::Refuted => "refuted",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
