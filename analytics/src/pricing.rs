//! What a token costs: a dated price book, and the sum of a usage by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use session_store::{Date, ModelId, PriceClass, PromptBand, Timestamp, Usage, Zone};

use crate::money::Usd;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Prices by model and date.
///
/// The built-in book says in each row where its prices come from; a user's file of the same form may replace rows.
///
/// ```
/// use session_analytics::PriceBook;
/// use session_store::{PriceClass, Timestamp, Usage};
///
/// let book = PriceBook::built_in();
/// let at = Timestamp::parse("2026-11-22T17:12:29Z").unwrap();
/// let usage = Usage { input: 11, output: 57, cache_write_5m: 200, cache_read: 3000, ..Usage::default() };
/// let price = book.price(&"claude-sonnet-5-5".into(), at, PriceClass::default());
/// // 11 × $2 + 57 × $10 + 200 × $2.50 + 3000 × $0.10, per million.
/// assert_eq!(price.unwrap().cost(&usage).as_dollars(), 0.001392);
/// ```
#[derive(Clone, Debug)]
pub struct PriceBook {
    models: BTreeMap<String, Entry>,
    families: BTreeMap<String, String>,
    web_search: Option<Usd>,
    us_percent: Option<i128>,
}

#[derive(Clone, Debug)]
struct Entry {
    source: String,
    /// By the first day they hold, ascending.
    rates: Vec<(Timestamp, Rates)>,
}

#[derive(Clone, Copy, Debug)]
struct Rates {
    plain: TokenRates,
    /// For prompts beyond the threshold, the whole request.
    long_context: Option<(PromptBand, TokenRates)>,
    fast_percent: i128,
}

/// The price of each kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRates {
    /// For input.
    pub input: Usd,
    /// For output.
    pub output: Usd,
    /// For writes to the five-minute cache.
    pub cache_write_5m: Usd,
    /// For writes to the one-hour cache.
    pub cache_write_1h: Usd,
    /// For reads from the cache.
    pub cache_read: Usd,
}

/// The prices that hold for one model, date and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The price of a token of each kind.
    pub rates: TokenRates,
    /// The price of a web search.
    pub web_search: Usd,
    /// The row of the book, which differs from the model where that is written with a date or a provider.
    pub row: String,
    /// Where the row comes from.
    pub source: String,
    /// The first moment the row holds.
    pub since: Timestamp,
    /// Whether the model is unknown and its family's price was taken.
    pub estimated: bool,
}

/// A price book could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceBookError {
    /// The text is no JSON, or not of the book's form.
    #[error("not a price book")]
    Form(#[from] serde_json::Error),
    /// A date is none.
    #[error("`{0}` is not a date (YYYY-MM-DD)")]
    Date(String),
    /// A price is negative, no number, or above a million dollars.
    #[error("the price {0} of `{1}` is out of range")]
    Price(f64, String),
    /// A threshold is not one that usage is recorded by.
    #[error("a long context of `{0}` must begin at 100000 or 200000 tokens")]
    Threshold(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BookFile {
    #[serde(default, rename = "unit")]
    _unit: String,
    #[serde(default, rename = "date")]
    _date: String,
    web_search: Option<f64>,
    us_multiplier: Option<f64>,
    #[serde(default)]
    families: BTreeMap<String, String>,
    #[serde(default)]
    models: Vec<ModelFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    model: String,
    #[serde(default)]
    source: String,
    rates: Vec<RatesFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatesFile {
    from: Option<String>,
    input: f64,
    output: f64,
    cache_write_5m: f64,
    cache_write_1h: f64,
    cache_read: f64,
    fast_multiplier: Option<f64>,
    long_context: Option<LongContextFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongContextFile {
    over: u64,
    input: f64,
    output: f64,
    cache_write_5m: f64,
    cache_write_1h: f64,
    cache_read: f64,
}

impl PriceBook {
    /// Returns the book in the library, as of 2026-11-22.
    pub fn built_in() -> Self {
        Self::parse(include_str!("pricing/book.json")).expect("because a test reads the built-in book")
    }

    /// Reads a book.
    ///
    /// # Errors
    ///
    /// The text is not of the book's form; the error names what is wrong.
    pub fn parse(json: &str) -> Result<Self, PriceBookError> {
        let file: BookFile = serde_json::from_str(json)?;
        let mut models = BTreeMap::new();
        for model in file.models {
            let mut rates = Vec::new();
            for row in &model.rates {
                rates.push((start_of(row.from.as_deref())?, Rates::of(row, &model.model)?));
            }
            rates.sort_by_key(|(from, _)| *from);
            models.insert(normalize(&model.model), Entry { source: model.source, rates });
        }
        Ok(Self {
            models,
            families: file.families,
            web_search: file.web_search.map(|usd| per_unit(usd, 1.0, "web_search")).transpose()?,
            us_percent: file.us_multiplier.map(|multiplier| (multiplier * 100.0).round() as i128),
        })
    }

    /// Takes what another book says in place of its own: the rows of the models named there, and all else it sets.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        self.families.extend(other.families);
        self.web_search = other.web_search.or(self.web_search);
        self.us_percent = other.us_percent.or(self.us_percent);
        self
    }

    /// Returns what a model costs at a moment, `None` where neither the model nor its family has a price.
    ///
    /// Dates begin at midnight UTC. A date before the first row takes the first row.
    pub fn price(&self, model: &ModelId, at: Timestamp, class: PriceClass) -> Option<Price> {
        let (row, entry, estimated) = self.entry(model.as_str())?;
        let after = entry.rates.partition_point(|(from, _)| *from <= at);
        let (since, rates) = entry.rates.get(after.saturating_sub(1))?;
        let token_rates = match rates.long_context {
            Some((threshold, long)) if class.prompt >= threshold => long,
            _ => rates.plain,
        };
        let mut percent = 100;
        if class.tariff.fast {
            percent = percent * rates.fast_percent / 100;
        }
        if class.tariff.us_only {
            percent = percent * self.us_percent.unwrap_or(100) / 100;
        }
        Some(Price {
            rates: token_rates.scaled(percent),
            web_search: self.web_search.unwrap_or_default(),
            row: row.to_owned(),
            source: entry.source.clone(),
            since: *since,
            estimated,
        })
    }

    fn entry(&self, model: &str) -> Option<(&str, &Entry, bool)> {
        let name = normalize(model);
        if let Some((row, entry)) = self.models.get_key_value(&name) {
            return Some((row, entry, false));
        }
        // The longest family name wins, so that "claude" stands only for what names no other.
        let families = self.families.iter().filter(|(family, _)| name.contains(family.as_str()));
        let (_, row) = families.max_by_key(|(family, row)| (*family != "claude", family.len(), *row))?;
        let (row, entry) = self.models.get_key_value(row)?;
        Some((row, entry, true))
    }
}

/// Prices that are remembered for a day; only transcripts made up to be slow have more.
const KNOWN_MAX: usize = 64;

/// A book and what was looked up in it: a report asks thousands of times for a few prices.
pub(crate) struct Prices<'a> {
    book: &'a PriceBook,
    /// The day (UTC) that was asked for last; within it no price changes.
    day: Timestamp,
    /// What was asked for on that day: most often less than twenty, which are found sooner than hashed.
    known: Vec<(ModelId, PriceClass, Option<Arc<Price>>)>,
}

impl<'a> Prices<'a> {
    pub(crate) fn of(book: &'a PriceBook) -> Self {
        Self { book, day: Timestamp::MIN, known: Vec::new() }
    }

    /// Returns what [`PriceBook::price`] does.
    pub(crate) fn price(&mut self, model: &ModelId, at: Timestamp, class: PriceClass) -> Option<&Price> {
        self.look_up(model, at, class).map(|price| &**price)
    }

    /// Returns the same to keep.
    pub(crate) fn shared(&mut self, model: &ModelId, at: Timestamp, class: PriceClass) -> Option<Arc<Price>> {
        self.look_up(model, at, class).cloned()
    }

    fn look_up(&mut self, model: &ModelId, at: Timestamp, class: PriceClass) -> Option<&Arc<Price>> {
        let day = at.floor(DAY);
        if day != self.day || self.known.len() >= KNOWN_MAX {
            self.known.clear();
            self.day = day;
        }
        let is_it = |known: &(ModelId, PriceClass, Option<Arc<Price>>)| known.1 == class && known.0 == *model;
        let place = self.known.iter().position(is_it).unwrap_or_else(|| {
            self.known.push((model.clone(), class, self.book.price(model, at, class).map(Arc::new)));
            self.known.len() - 1
        });
        self.known[place].2.as_ref()
    }
}

impl Price {
    /// Returns what a usage costs.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let TokenRates { input, output, cache_write_5m, cache_write_1h, cache_read } = self.rates;
        [
            (usage.input, input),
            (usage.output, output),
            (usage.cache_write_5m, cache_write_5m),
            (usage.cache_write_1h, cache_write_1h),
            (usage.cache_read, cache_read),
            (usage.web_searches, self.web_search),
        ]
        .into_iter()
        .map(|(count, rate)| Usd::from_picos(i128::from(count).saturating_mul(rate.as_picos())))
        .sum()
    }
}

impl Rates {
    fn of(row: &RatesFile, model: &str) -> Result<Self, PriceBookError> {
        let rate = |usd| per_unit(usd, 1e6, model);
        let plain = TokenRates {
            input: rate(row.input)?,
            output: rate(row.output)?,
            cache_write_5m: rate(row.cache_write_5m)?,
            cache_write_1h: rate(row.cache_write_1h)?,
            cache_read: rate(row.cache_read)?,
        };
        let long_context = match &row.long_context {
            None => None,
            Some(long) => {
                let threshold = match long.over {
                    100_000 => PromptBand::UpTo200k,
                    200_000 => PromptBand::Over200k,
                    _ => return Err(PriceBookError::Threshold(model.to_owned())),
                };
                let rates = TokenRates {
                    input: rate(long.input)?,
                    output: rate(long.output)?,
                    cache_write_5m: rate(long.cache_write_5m)?,
                    cache_write_1h: rate(long.cache_write_1h)?,
                    cache_read: rate(long.cache_read)?,
                };
                Some((threshold, rates))
            }
        };
        let fast_percent = (row.fast_multiplier.unwrap_or(1.0) * 100.0).round() as i128;
        Ok(Self { plain, long_context, fast_percent })
    }
}

impl TokenRates {
    fn scaled(self, percent: i128) -> Self {
        let scale = |rate: Usd| Usd::from_picos(rate.as_picos() * percent / 100);
        Self {
            input: scale(self.input),
            output: scale(self.output),
            cache_write_5m: scale(self.cache_write_5m),
            cache_write_1h: scale(self.cache_write_1h),
            cache_read: scale(self.cache_read),
        }
    }
}

fn start_of(date: Option<&str>) -> Result<Timestamp, PriceBookError> {
    let Some(text) = date else { return Ok(Timestamp::MIN) };
    let date = Date::parse(text).ok_or_else(|| PriceBookError::Date(text.to_owned()))?;
    Ok(Zone::utc().start_of(date))
}

fn per_unit(usd: f64, units: f64, model: &str) -> Result<Usd, PriceBookError> {
    if !(0.0..=1e6).contains(&usd) {
        return Err(PriceBookError::Price(usd, model.to_owned()));
    }
    Ok(Usd::from_picos((usd * 1e12 / units).round() as i128))
}

/// Takes from a model's name what providers and releases add to it.
///
/// `us.anthropic.claude-opus-4-5-20251101-v1:0`, `claude-opus-4-5@20251101` and `claude-opus-4-5[1m]` are all
/// `claude-opus-4-5`.
fn normalize(model: &str) -> String {
    let lower = model.to_ascii_lowercase();
    let mut name = lower.rsplit(['/', '.']).find(|part| part.contains("claude")).unwrap_or(&lower);
    name = name.split(['[', '@', ':']).next().unwrap_or(name);
    for suffix in ["-v1", "-v2", "-latest"] {
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    if let Some((head, date)) = name.rsplit_once('-')
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
    {
        name = head;
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_store::Tariff;

    #[test]
    fn names_of_all_providers_are_one_model() {
        for name in [
            "claude-opus-4-5",
            "claude-opus-4-5-20251101",
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            "claude-opus-4-5@20251101",
            "claude-opus-4-5[1m]",
            "anthropic/claude-opus-4-5",
        ] {
            assert_eq!(normalize(name), "claude-opus-4-5", "{name}");
        }
    }

    #[test]
    fn prices_depend_on_date_class_and_family() {
        let book = PriceBook::built_in();
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-11-22T00:00:00Z");
        let input = |model: &str, at, class| {
            book.price(&model.into(), at, class).map(|price| {
                (price.rates.input.as_picos() as f64 / 1e6, price.rates.cache_read.as_picos() as f64 / 1e6)
            })
        };
        let plain = PriceClass::default();
        assert_eq!(input("claude-sonnet-5-5", at("2026-10-06T23:59:59Z"), plain), Some((2.0, 0.2)));
        assert_eq!(input("claude-sonnet-5-5", at("2026-10-07T00:00:00Z"), plain), Some((2.0, 0.1)));
        let long = PriceClass { prompt: PromptBand::UpTo200k, ..plain };
        assert_eq!(input("claude-haiku-5-5", now, long), Some((0.5, 0.05)));
        assert_eq!(input("claude-sonnet-4-5-20250929", now, long), Some((3.0, 0.3)));
        let fast_in_us = PriceClass { tariff: Tariff { fast: true, us_only: true }, ..plain };
        let (fast, _) = input("claude-opus-5-5", now, fast_in_us).unwrap();
        assert!((fast - 8.8).abs() < 1e-9);
        assert_eq!(input("gpt-5", now, plain), None);
        assert!(book.price(&"claude-opus-9".into(), now, plain).unwrap().estimated);
        assert_eq!(input("claude-nonesuch-9", now, plain), Some((2.0, 0.1)));
    }

    #[test]
    fn bad_books_are_refused() {
        let check = |json: &str, message: &str| {
            assert_eq!(PriceBook::parse(json).unwrap_err().to_string(), message);
        };
        let row = |fields: &str| {
            let rates = r#""input":1,"output":1,"cache_write_5m":1,"cache_write_1h":1,"cache_read":1"#;
            format!(r#"{{"models":[{{"model":"m","rates":[{{{rates}{fields}}}]}}]}}"#)
        };
        check("", "not a price book");
        check(&row(r#","from":"yesterday""#), "`yesterday` is not a date (YYYY-MM-DD)");
        assert!(PriceBook::parse(&row("")).is_ok());
    }
}
