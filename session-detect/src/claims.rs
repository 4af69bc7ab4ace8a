//! What the environment claims, checked against what is known of the processes.
//!
//! Variables are inherited for ever: a terminal started from a notebook still says that it is one. Many of them name a
//! process or a terminal, though, and so can be checked.

use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, Standing};
use crate::facts::{Facts, Process};
use crate::names::{Role, role};
use crate::probe::variables::kept_value;

/// The ends of an SSH connection, from `SSH_CONNECTION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The address the login came from; IPv6 without brackets, perhaps with a zone.
    pub remote_ip: String,
    /// The port it came from.
    pub remote_port: u16,
    /// The address it came to.
    pub local_ip: String,
    /// The port it came to.
    pub local_port: u16,
}

impl Connection {
    /// Reads `client-address client-port server-address server-port`; `None` for any other text and for the
    /// `UNKNOWN` of a connection without addresses.
    ///
    /// ```
    /// let ends = session_detect::Connection::parse("203.0.113.9 51000 192.0.2.1 22").expect("four words");
    /// assert_eq!((ends.remote_ip.as_str(), ends.local_port), ("203.0.113.9", 22));
    /// assert_eq!(session_detect::Connection::parse("UNKNOWN 65535 UNKNOWN 65535"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let [remote_ip, remote_port, local_ip, local_port] = words[..] else { return None };
        let whole = is_address(remote_ip) && is_address(local_ip);
        let (remote_port, local_port) = (port(remote_port)?, port(local_port)?);
        whole.then(|| Self {
            remote_ip: remote_ip.to_owned(),
            remote_port,
            local_ip: local_ip.to_owned(),
            local_port,
        })
    }
}

/// An address; IPv6 may have a zone, which is the name of an interface.
fn is_address(text: &str) -> bool {
    match text.split_once('%') {
        None => text.parse::<std::net::IpAddr>().is_ok(),
        Some((address, zone)) => {
            let named = (1..=15).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_graphic());
            named && address.parse::<std::net::Ipv6Addr>().is_ok()
        }
    }
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether an SSH server wrote it: with the ends of a connection, or with `UNKNOWN` where it has none, as through a pipe.
pub(crate) fn is_connection(value: &str) -> bool {
    let unknown = || value.starts_with("UNKNOWN ") && value.split(' ').count() == 4;
    Connection::parse(value).is_some() || unknown()
}

/// How a variable is checked.
type Check<'a> = fn(&Claims<'a>, &str) -> Standing;

/// The chain and its environment, for checks.
pub(crate) struct Claims<'a> {
    pub(crate) facts: &'a Facts,
    /// The chain up to where it may be trusted.
    pub(crate) chain: &'a [Process],
}

impl<'a> Claims<'a> {
    /// Checks every variable that can be checked.
    pub(crate) fn evidence(&self) -> Vec<Evidence> {
        let checks: [(&str, Check<'a>); 8] = [
            ("TMUX", |claims, value| claims.ancestor(value.split(',').nth(1))),
            ("STY", |claims, value| claims.ancestor(value.split('.').next())),
            ("JPY_PARENT_PID", |claims, value| claims.parent_of_some(value)),
            ("SSH_TTY", Self::ssh_tty),
            ("SSH_CONNECTION", Self::ssh_connection),
            ("SYSTEMD_EXEC_PID", |claims, value| claims.ancestor(Some(value))),
            ("KITTY_PID", |claims, value| claims.ancestor(Some(value))),
            ("CLAUDE_PID", |claims, value| claims.ancestor(Some(value))),
        ];
        let judge = |(name, check): &(&str, Check<'a>)| {
            let value = self.facts.env.get(*name)?;
            Some(Evidence {
                signal: (*name).to_owned(),
                value: kept_value(name, value),
                verdict: check(self, value),
            })
        };
        let mut evidence: Vec<Evidence> = checks.iter().filter_map(judge).collect();
        evidence.extend(self.editor());
        evidence
    }

    /// VS Code's mark of its terminals, which everything started from them keeps.
    fn editor(&self) -> Option<Evidence> {
        let claimed = self.facts.env.get("TERM_PROGRAM").is_some_and(|value| value == "vscode");
        let signal = if claimed { "TERM_PROGRAM" } else { "VSCODE_INJECTION" };
        let value = kept_value(signal, self.facts.env.get(signal)?);
        let family =
            |process: &Process| matches!(role(process), Some(Role::VsCode(_) | Role::VsCodeServer(_)));
        let verdict = if self.chain.iter().any(family) { Standing::Verified } else { self.absent() };
        Some(Evidence { signal: signal.to_owned(), value, verdict })
    }

    fn ancestor(&self, pid: Option<&str>) -> Standing {
        let Some(pid) = pid.and_then(|text| text.parse::<u32>().ok()) else { return Standing::Refuted };
        if self.chain.iter().any(|process| process.pid == pid) { Standing::Verified } else { self.absent() }
    }

    /// Whether some process of the chain is a child of that one.
    fn parent_of_some(&self, pid: &str) -> Standing {
        let Ok(pid) = pid.parse::<u32>() else { return Standing::Refuted };
        let above = self.chain.iter().skip(1).any(|process| process.pid == pid);
        // The launcher may be process 0 of a container, which no chain shows.
        if above || pid == 0 { Standing::Verified } else { self.absent() }
    }

    fn ssh_tty(&self, value: &str) -> Standing {
        let name = value.strip_prefix("/dev/").unwrap_or(value);
        let served = self.chain.windows(2).any(|pair| {
            pair[0].leads_terminal() && pair[0].tty.as_deref() == Some(name) && serves_login(pair[1..].iter())
        });
        if served { Standing::Verified } else { self.absent() }
    }

    fn ssh_connection(&self, value: &str) -> Standing {
        if !is_connection(value) {
            return Standing::Refuted;
        }
        let link = |role| matches!(role, Some(Role::Link(_) | Role::Listener(_)));
        let keeps = |role| matches!(role, Some(Role::Mux(_) | Role::Keeper(_) | Role::VsCodeServer(_)));
        if self.chain.iter().any(|process| link(role(process))) {
            Standing::Verified
        } else if self.chain.iter().any(|process| keeps(role(process))) {
            Standing::Inherited
        } else {
            self.absent()
        }
    }

    /// What it means that nobody in the chain is the one named.
    fn absent(&self) -> Standing {
        if self.chain.iter().any(|process| process.err.is_some()) {
            Standing::Claimed
        } else {
            Standing::Refuted
        }
    }
}

fn serves_login<'a>(mut above: impl Iterator<Item = &'a Process>) -> bool {
    above
        .next()
        .is_some_and(|process| matches!(role(process), Some(Role::Link("ssh_client") | Role::Listener(_))))
}
