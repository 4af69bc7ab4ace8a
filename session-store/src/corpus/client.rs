//! The client versions and their manners.

use fastrand::Rng;

/// A client version and how it writes.
pub(super) struct Client {
    pub(super) version: &'static str,
    /// Share of the conversations, in percent.
    share: u32,
    pub(super) era: Era,
    pub(super) outputs: Outputs,
    /// Models of conversations, and the one of sub-agents.
    pub(super) main: &'static [&'static str],
    pub(super) helper: &'static str,
}

/// Periods of the format; later ones keep what earlier ones brought.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Era {
    /// One number for cache writes; sub-agents are side chains of the main transcript.
    Flat,
    /// Cache writes by lifetime.
    Inline,
    /// Sub-agents have files beside the main transcript.
    Siblings,
    /// Sub-agents have files in a folder of the session and are echoed in `progress` lines.
    Echoes,
    /// The final count stands on every line; no more echoes; the envelope comes last.
    Final,
    /// A spent quota is stated in numbers.
    Quotas,
    /// The client notes its own costs.
    Newest,
}

impl Era {
    /// Returns a text that clients write from `first` on, and nothing before.
    pub(super) fn since(self, first: Era, text: &str) -> &str {
        if self >= first { text } else { "" }
    }
}

/// What the lines of one response state as its output.
#[derive(Clone, Copy)]
pub(super) enum Outputs {
    /// The final count on every line.
    Final,
    /// Placeholders, then the final count on the last line.
    Growing,
    /// Placeholders only: the final count was never written.
    Placeholder,
    /// One response this way, the next that way.
    Mixed,
}

pub(super) const ADVISOR: &str = OPUS_5_5;
pub(super) const OPUS_5_5: &str = "claude-opus-5-5";
pub(super) const SONNET_5_5: &str = "claude-sonnet-5-5";
pub(super) const HAIKU_5_5: &str = "claude-haiku-5-5";
const OPUS_4_1: &str = "claude-opus-4-1-20250805";
const OPUS_4_5: &str = "claude-opus-4-5-20251101";
const SONNET_4: &str = "claude-sonnet-4-20250514";
const SONNET_4_5: &str = "claude-sonnet-4-5-20250929";
const HAIKU_3_5: &str = "claude-3-5-haiku-20241022";
const HAIKU_4_5: &str = "claude-haiku-4-5-20251001";

pub(super) static NEWEST: &Client = &CLIENTS[CLIENTS.len() - 1];

static CLIENTS: [Client; 10] = [
    client("1.0.64", 4, Era::Flat, Outputs::Final, &[SONNET_4, OPUS_4_1], HAIKU_3_5),
    client("1.0.120", 5, Era::Inline, Outputs::Final, &[SONNET_4, OPUS_4_1], HAIKU_3_5),
    client("2.0.30", 5, Era::Siblings, Outputs::Final, &[SONNET_4_5, OPUS_4_1], HAIKU_4_5),
    client("2.0.76", 8, Era::Siblings, Outputs::Growing, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.5", 8, Era::Echoes, Outputs::Growing, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.20", 9, Era::Echoes, Outputs::Placeholder, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.44", 13, Era::Echoes, Outputs::Mixed, &["claude-opus-4-6", SONNET_4_5], HAIKU_4_5),
    client("2.1.142", 12, Era::Final, Outputs::Final, &["claude-opus-4-8", "claude-sonnet-4-6"], HAIKU_4_5),
    client("2.1.243", 12, Era::Quotas, Outputs::Final, &["claude-opus-5", "claude-sonnet-5"], HAIKU_4_5),
    client(
        "2.1.330",
        24,
        Era::Newest,
        Outputs::Final,
        &[OPUS_5_5, SONNET_5_5, SONNET_5_5, HAIKU_5_5],
        HAIKU_5_5,
    ),
];

const fn client(
    version: &'static str,
    share: u32,
    era: Era,
    outputs: Outputs,
    main: &'static [&'static str],
    helper: &'static str,
) -> Client {
    Client { version, share, era, outputs, main, helper }
}

impl Client {
    /// Draws the client of a conversation of some age, from 0 (now) to 1 (the start of the history).
    pub(super) fn of_age(rng: &mut Rng, age: f64) -> &'static Client {
        let position = (1.0 - age) * 75.0 + rng.f64() * 40.0 - 10.0;
        let mut sum = 0.0;
        CLIENTS
            .iter()
            .find(|client| {
                sum += f64::from(client.share);
                position < sum
            })
            .unwrap_or(NEWEST)
    }

    pub(super) fn agent_id(&self, rng: &mut Rng) -> String {
        match self.era {
            Era::Flat | Era::Inline | Era::Siblings => format!("{:08x}", rng.u32(..)),
            Era::Echoes => format!("a{:06x}", rng.u32(0..1 << 24)),
            Era::Final | Era::Quotas | Era::Newest => format!("a{:016x}", rng.u64(..)),
        }
    }
}

/// Names the folder of a project as Claude Code does.
pub(super) fn slug(cwd: &str) -> String {
    cwd.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}
