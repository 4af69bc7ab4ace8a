//! Token counts of one request, or sums of them.

/// Counts what one request used, or what many did together.
///
/// All counts are tokens but `web_searches`, which are requests. The five kinds do not overlap: `input` excludes
/// everything read from or written to the cache. Sums saturate instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usage {
    /// Prompt tokens that came neither from the cache nor went into it.
    pub input: u64,
    /// Tokens the model wrote, thinking included.
    pub output: u64,
    /// Prompt tokens written to the five-minute cache.
    pub cache_write_5m: u64,
    /// Prompt tokens written to the one-hour cache.
    pub cache_write_1h: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Web searches, billed per request beside the tokens.
    pub web_searches: u64,
}

impl Usage {
    /// Returns all tokens of all five kinds.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// Returns the tokens of the prompt: input, cache writes and cache reads.
    pub fn prompt(&self) -> u64 {
        [self.input, self.cache_write_5m, self.cache_write_1h, self.cache_read]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Adds another usage to this one.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add);
    }

    /// Takes another usage out of this one; what would fall below zero is zero.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, u64::saturating_sub);
    }

    fn combine(&mut self, other: &Self, op: fn(u64, u64) -> u64) {
        self.input = op(self.input, other.input);
        self.output = op(self.output, other.output);
        self.cache_write_5m = op(self.cache_write_5m, other.cache_write_5m);
        self.cache_write_1h = op(self.cache_write_1h, other.cache_write_1h);
        self.cache_read = op(self.cache_read, other.cache_read);
        self.web_searches = op(self.web_searches, other.web_searches);
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut sum, usage| {
            sum.add(&usage);
            sum
        })
    }
}
