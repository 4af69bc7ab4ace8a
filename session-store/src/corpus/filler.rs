//! Text of the kind that tools print, to cut pieces from.

use fastrand::Rng;

use super::chance::{Points, quantile};

const WORDS: &str = "fn let self.queue match return Result<()> => error warning: test ok (0.03s) src/main.rs \
    the order of printer jobs is kept when a page fails const export import useEffect Button props { } (); == \
    0x1f 128 select from where größer naïve 日本語 → async await customer_id checkout |";

pub(super) struct Filler {
    /// Escaped for JSON.
    text: String,
    /// Where a piece may begin and end without breaking an escape.
    cuts: Vec<usize>,
}

impl Filler {
    pub(super) fn new(rng: &mut Rng, bytes: usize) -> Self {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut filler = Filler { text: String::with_capacity(bytes + 400), cuts: vec![0] };
        while filler.text.len() < bytes {
            filler.line(rng, &words);
        }
        filler
    }

    /// Draws a piece whose length follows a distribution.
    pub(super) fn take(&self, rng: &mut Rng, lengths: &Points) -> &str {
        let bytes = quantile(rng, lengths);
        self.cut(rng, bytes as usize)
    }

    /// Draws a piece of about this many bytes, or the longest there is.
    pub(super) fn cut(&self, rng: &mut Rng, bytes: usize) -> &str {
        let fitting = self.text.len().saturating_sub(bytes);
        let last = self.cuts.partition_point(|cut| *cut <= fitting).max(1);
        let start = self.cuts[rng.usize(0..last)];
        let end = self.cuts.partition_point(|cut| *cut <= start + bytes).max(1);
        &self.text[start..self.cuts[end - 1].max(start)]
    }

    fn line(&mut self, rng: &mut Rng, words: &[&str]) {
        match rng.u32(0..400) {
            // Numbers quoted by a program, and a limit quoted by a person: both only text.
            0 => self.push(r#"{\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":40}}}"#),
            1 => self.push("You've hit your limit · resets 6pm (UTC)"),
            2 => self.push(r"C:\\src\\printer\\queue.rs"),
            3..=8 => self.push(r"\u001b[32mok\u001b[0m"),
            _ => {
                for _ in 0..rng.u32(0..2) {
                    self.push(r"\t");
                }
                for _ in 0..rng.u32(3..12) {
                    let word = words[rng.usize(0..words.len())];
                    let is_quoted = rng.u32(0..16) == 0;
                    self.push(&if is_quoted { format!(r#"\"{word}\","#) } else { format!("{word} ") });
                }
            }
        }
        self.push(r"\n");
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.cuts.push(self.text.len());
    }
}
