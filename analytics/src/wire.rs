//! A live view as bytes: how one process hands it to another of the same version.
//!
//! The form is no contract. Who reads another version's bytes is told so and computes the view itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use session_store::{CellSum, ConversationId, LimitWindow, ModelId, Timestamp, Usage};

use crate::block::Block;
use crate::forecast::{Method, Prediction};
use crate::learn::Backtest;
use crate::limits::{Limit, LimitSource, LimitStatus, LimitUse, Share};
use crate::live::{Live, LiveConversation, State};
use crate::money::Usd;
use crate::rate::BurnRate;
use crate::report::{Hit, Totals};

/// Grows with every change of the form or of what it means.
const VERSION: u32 = 3;

/// A view; texts that repeat stand in a list and are named by their place there.
#[derive(Serialize, Deserialize)]
struct LiveBytes {
    version: u32,
    at: i64,
    texts: Vec<String>,
    conversations: Vec<ConversationBytes>,
    block: Option<(i64, i64, bool, TotalsBytes)>,
    /// The bits of a float, because its digits may not lead back to it.
    tokens_per_minute: u64,
    cost_per_hour: i128,
    last_limit: Option<(i64, String, String, Option<i64>)>,
    unpriced_models: Vec<usize>,
    limits: Vec<LimitBytes>,
}

/// Id, project, model, state, all totals, those of today, bits of the tokens a minute, last activity.
#[derive(Serialize, Deserialize)]
struct ConversationBytes(String, usize, Option<usize>, u8, TotalsBytes, Option<TotalsBytes>, u64, i64);

/// Counts, cost, whether it is estimated, models, limit hits.
#[derive(Serialize, Deserialize)]
struct TotalsBytes([u64; 8], i128, bool, Vec<usize>, u64);

/// A limit; of floats the bits.
#[derive(Serialize, Deserialize)]
struct LimitBytes {
    account: String,
    window: String,
    used: Option<u32>,
    status: String,
    resets_at: Option<i64>,
    source: String,
    observed_at: i64,
    is_over: bool,
    estimate: Option<u32>,
    shares: Vec<(String, u64)>,
    elsewhere: u64,
    forecast: Option<ForecastBytes>,
}

/// What comes next of a limit, whose account and window stand beside it; of floats the bits.
#[derive(Serialize, Deserialize)]
struct ForecastBytes {
    used: Option<u64>,
    resets_at: Option<i64>,
    /// When it runs out, and the ends of the interval.
    times: [Option<i64>; 3],
    resets_first: Option<bool>,
    turns_left: Option<u64>,
    method: Method,
    burn: Option<([u64; 5], u32)>,
    backtest: Option<([u64; 3], u32)>,
}

impl ForecastBytes {
    fn of(it: &Prediction) -> Self {
        Self {
            used: it.used_percentage.map(f64::to_bits),
            resets_at: it.resets_at.map(Timestamp::as_millis),
            times: [it.runs_out_at, it.low, it.high].map(|at| at.map(Timestamp::as_millis)),
            resets_first: it.resets_first,
            turns_left: it.turns_left,
            method: it.method,
            burn: it.burn.map(|burn| {
                let BurnRate { usd_per_hour, low, high, pace_usd_per_hour, active_share, active_quarters } =
                    burn;
                let floats = [usd_per_hour, low, high, pace_usd_per_hour, active_share];
                (floats.map(f64::to_bits), active_quarters)
            }),
            backtest: it.backtest.map(|backtest| {
                let Backtest { samples, coverage, median_error_minutes, linear_error_minutes } = backtest;
                ([coverage, median_error_minutes, linear_error_minutes].map(f64::to_bits), samples)
            }),
        }
    }

    fn prediction(self, account: &str, window: &LimitWindow) -> Prediction {
        let [runs_out_at, low, high] = self.times.map(|at| at.map(Timestamp::from_millis));
        Prediction {
            account: account.to_owned(),
            window: window.clone(),
            used_percentage: self.used.map(f64::from_bits),
            resets_at: self.resets_at.map(Timestamp::from_millis),
            runs_out_at,
            low,
            high,
            resets_first: self.resets_first,
            turns_left: self.turns_left,
            method: self.method,
            burn: self.burn.map(|(floats, active_quarters)| {
                let [usd_per_hour, low, high, pace_usd_per_hour, active_share] = floats.map(f64::from_bits);
                BurnRate { usd_per_hour, low, high, pace_usd_per_hour, active_share, active_quarters }
            }),
            backtest: self.backtest.map(|(floats, samples)| {
                let [coverage, median_error_minutes, linear_error_minutes] = floats.map(f64::from_bits);
                Backtest { samples, coverage, median_error_minutes, linear_error_minutes }
            }),
        }
    }
}

impl LimitBytes {
    fn of(it: &LimitUse) -> Self {
        let limit = &it.limit;
        Self {
            account: limit.account.to_string(),
            window: limit.window.name().to_owned(),
            used: limit.used,
            status: limit.status.name().to_owned(),
            resets_at: limit.resets_at.map(Timestamp::as_millis),
            source: limit.source.name().to_owned(),
            observed_at: limit.observed_at.as_millis(),
            is_over: limit.is_over,
            estimate: it.estimate,
            shares: it.shares.iter().map(|share| (share.who.to_string(), share.part.to_bits())).collect(),
            elsewhere: it.elsewhere.to_bits(),
            forecast: it.forecast.as_ref().map(ForecastBytes::of),
        }
    }

    fn limit(self) -> Option<LimitUse> {
        let share = |(who, part): (String, u64)| Share { who: who.into(), part: f64::from_bits(part) };
        let window = LimitWindow::from_name(&self.window);
        Some(LimitUse {
            forecast: self.forecast.map(|it| it.prediction(&self.account, &window)),
            limit: Limit {
                account: self.account.into(),
                window,
                used: self.used,
                status: LimitStatus::from_name(&self.status),
                resets_at: self.resets_at.map(Timestamp::from_millis),
                source: LimitSource::from_name(&self.source)?,
                observed_at: Timestamp::from_millis(self.observed_at),
                is_over: self.is_over,
                course: Vec::new(),
            },
            estimate: self.estimate,
            shares: self.shares.into_iter().map(share).collect(),
            elsewhere: f64::from_bits(self.elsewhere),
        })
    }
}

/// The texts gathered so far.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        self.list.push(text.to_owned());
        self.places.insert(text.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }
}

impl Live {
    /// Writes the view as bytes for [`Live::from_bytes`]; notices, which each process hears for itself, are left out.
    ///
    /// Costs about a microsecond and 150 bytes a conversation.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut texts = Texts::default();
        let bytes = LiveBytes {
            version: VERSION,
            at: self.at.as_millis(),
            conversations: self.conversations.iter().map(|it| conversation_bytes(it, &mut texts)).collect(),
            block: self.block.as_ref().map(|(block, totals)| {
                let (start, end) = (block.start.as_millis(), block.end.as_millis());
                (start, end, block.anchored, totals_bytes(totals, &mut texts))
            }),
            tokens_per_minute: self.tokens_per_minute.to_bits(),
            cost_per_hour: self.cost_per_hour.as_picos(),
            last_limit: self.last_limit.as_ref().map(|hit| {
                let (conversation, window) = (hit.conversation.as_str(), hit.window.name());
                let resets_at = hit.resets_at.map(Timestamp::as_millis);
                (hit.at.as_millis(), conversation.to_owned(), window.to_owned(), resets_at)
            }),
            limits: self.limits.iter().map(LimitBytes::of).collect(),
            unpriced_models: self.unpriced_models.iter().map(|it| texts.place(it.as_str())).collect(),
            texts: texts.list,
        };
        serde_json::to_vec(&bytes).expect("because the type holds only texts and numbers")
    }

    /// Reads a view; `None` where the bytes are of another version, or none of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let bytes: LiveBytes = match serde_json::from_slice(bytes) {
            Ok(bytes) => bytes,
            Err(_) => {
                let other: Versioned = serde_json::from_slice(bytes).ok()?;
                debug_assert_ne!(other.version, VERSION, "the form changed without its version");
                return None;
            }
        };
        if bytes.version != VERSION {
            return None;
        }
        let models: Vec<ModelId> = bytes.texts.iter().map(|text| text.as_str().into()).collect();
        let conversations = bytes.conversations.into_iter();
        let mut live = Self {
            at: Timestamp::from_millis(bytes.at),
            conversations: conversations
                .map(|it| conversation(it, &bytes.texts, &models))
                .collect::<Option<_>>()?,
            tokens_per_minute: f64::from_bits(bytes.tokens_per_minute),
            cost_per_hour: Usd::from_picos(bytes.cost_per_hour),
            last_limit: bytes.last_limit.map(|(at, conversation, window, resets_at)| Hit {
                at: Timestamp::from_millis(at),
                conversation: conversation.as_str().into(),
                window: LimitWindow::from_name(&window),
                resets_at: resets_at.map(Timestamp::from_millis),
            }),
            unpriced_models: chosen(&models, &bytes.unpriced_models)?,
            limits: bytes.limits.into_iter().map(LimitBytes::limit).collect::<Option<_>>()?,
            ..Self::default()
        };
        if let Some((start, end, anchored, block_totals)) = bytes.block {
            let (start, end) = (Timestamp::from_millis(start), Timestamp::from_millis(end));
            live.block = Some((Block { start, end, anchored }, totals(block_totals, &models)?));
        }
        live.add_up();
        Some(live)
    }
}

fn conversation_bytes(it: &LiveConversation, texts: &mut Texts) -> ConversationBytes {
    let state = match it.state {
        State::Working => 0,
        State::Limited => 1,
        State::Idle => 2,
    };
    ConversationBytes(
        it.id.as_str().to_owned(),
        texts.place(&it.project),
        it.model.as_ref().map(|model| texts.place(model.as_str())),
        state,
        totals_bytes(&it.totals, texts),
        it.today.as_ref().map(|today| totals_bytes(today, texts)),
        it.tokens_per_minute.to_bits(),
        it.last_activity.as_millis(),
    )
}

fn conversation(bytes: ConversationBytes, texts: &[String], models: &[ModelId]) -> Option<LiveConversation> {
    let ConversationBytes(id, project, model, state, all, today, tokens_per_minute, last_activity) = bytes;
    let today = match today {
        Some(today) => Some(Box::new(totals(today, models)?)),
        None => None,
    };
    let model = match model {
        Some(place) => Some(models.get(place)?.clone()),
        None => None,
    };
    Some(LiveConversation {
        id: ConversationId::new(id),
        project: texts.get(project)?.clone(),
        model,
        state: match state {
            0 => State::Working,
            1 => State::Limited,
            2 => State::Idle,
            _ => return None,
        },
        totals: totals(all, models)?,
        today,
        tokens_per_minute: f64::from_bits(tokens_per_minute),
        last_activity: Timestamp::from_millis(last_activity),
    })
}

fn totals_bytes(totals: &Totals, texts: &mut Texts) -> TotalsBytes {
    let CellSum { messages, under_reported, usage } = totals.sum;
    let Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches } = usage;
    let counts =
        [messages, under_reported, input, output, cache_write_5m, cache_write_1h, cache_read, web_searches];
    let models = totals.models.iter().map(|model| texts.place(model.as_str())).collect();
    TotalsBytes(counts, totals.cost.as_picos(), totals.estimated, models, totals.rate_limit_events)
}

fn totals(bytes: TotalsBytes, models: &[ModelId]) -> Option<Totals> {
    let TotalsBytes(counts, cost, estimated, places, rate_limit_events) = bytes;
    let [messages, under_reported, input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] =
        counts;
    let usage = Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches };
    Some(Totals {
        sum: CellSum { messages, under_reported, usage },
        cost: Usd::from_picos(cost),
        estimated,
        models: chosen(models, &places)?,
        rate_limit_events,
    })
}

fn chosen(models: &[ModelId], places: &[usize]) -> Option<BTreeSet<ModelId>> {
    places.iter().map(|place| models.get(*place).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Lack;
    use crate::limits::{Limits, Reading, Spend};
    use crate::live::LiveInput;
    use crate::pricing::PriceBook;
    use crate::report::Figures;
    use proptest::prelude::*;
    use session_store::{
        Conversation, Event, Fact, Ledger, LimitCause, LimitHit, Owner, Reset, Role, Setting, Turn, Zone,
        fold_cells,
    };

    const NOW: i64 = 1_795_367_381;

    fn event(id: String, conversation: u8, at: i64, fact: Fact) -> Event {
        let conversation = ConversationId::new(format!("c{conversation}"));
        let at = Timestamp::from_seconds(at);
        let owner = Owner { role: Role::Main, since: Timestamp::MIN, conversation, agent: None };
        Event { id: id.as_str().into(), at, owner, fact }
    }

    fn turn(number: usize, (conversation, model, ago, output): (u8, u8, i64, u64)) -> Vec<Event> {
        let model = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-new-9", "gemini"][usize::from(model)];
        let usage = Usage { input: 3, output, ..Usage::default() };
        let turn =
            Turn { usage, model: model.into(), tariff: Default::default(), under_reported: output % 2 == 0 };
        let folder = ["/p/shop", "/p/shop/front", "/p/other"][usize::from(conversation % 3)];
        let setting = Setting {
            at: Timestamp::from_seconds(NOW - ago),
            folder: Some(folder.into()),
            branch: None,
            version: None,
            entrypoint: None,
        };
        let told = Conversation { first: setting.clone(), last: setting };
        vec![
            event(format!("msg_{number}"), conversation, NOW - ago, Fact::Turn(turn)),
            event(format!("conversation:{conversation}"), conversation, NOW - ago, Fact::Conversation(told)),
        ]
    }

    fn hit(number: usize, (conversation, ago, resets_in): (u8, i64, i64)) -> Event {
        let resets_at = Reset(Some(Timestamp::from_seconds(NOW + resets_in)));
        let hit = LimitHit { cause: LimitCause::Quota, resets_at, window: LimitWindow::FiveHour };
        event(format!("error:{number}"), conversation, NOW - ago, Fact::LimitHit(hit))
    }

    fn view(events: &Ledger) -> Live {
        let cells = fold_cells(events, Timestamp::MIN..Timestamp::MAX, &[]);
        let figures = Figures { cells, facts: events.clone() };
        let (book, zone, now) = (PriceBook::built_in(), Zone::utc(), Timestamp::from_seconds(NOW));
        let input =
            LiveInput { figures: &figures, recent: events, sources: &[], book: &book, zone: &zone, now };
        Live::build(&input, &|folder| folder.to_owned())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bytes_lead_back_and_narrowing_is_counting_less(
            turns in proptest::collection::vec((0..7u8, 0..4u8, 0..200_000i64, 0..9999u64), 0..30),
            hits in proptest::collection::vec((0..9u8, 0..20_000i64, -5000..5000i64), 0..4),
        ) {
            let turns = turns.into_iter().enumerate().flat_map(|(number, it)| turn(number, it));
            let hits = hits.into_iter().enumerate().map(|(number, it)| hit(number, it));
            let events: Ledger = turns.chain(hits).collect();
            let live = view(&events);
            let read = Live::from_bytes(&live.to_bytes()).unwrap();
            prop_assert_eq!(format!("{:?}", &read), format!("{:?}", &live));

            let narrow = read.within(Some("/p/shop"));
            let is_inside = |it: &&Event| live.conversations.iter().any(|conversation| {
                conversation.id == it.owner.conversation && conversation.project.starts_with("/p/shop")
            });
            let inside = view(&events.iter().filter(is_inside).cloned().collect());
            if inside.totals.sum.messages > 0 {
                prop_assert_eq!(&narrow.totals, &inside.totals);
                prop_assert_eq!(&narrow.today, &inside.today);
                prop_assert_eq!(narrow.conversations.len(), inside.conversations.len());
            } else if live.totals.sum.messages > 0 {
                prop_assert!(narrow.scope_widened);
                prop_assert_eq!(&narrow.totals, &live.totals);
            }
            prop_assert_eq!(narrow.block, live.block);
            prop_assert_eq!(narrow.last_limit, live.last_limit);
        }
    }

    #[test]
    fn limits_come_back() {
        let now = Timestamp::from_seconds(NOW);
        let reading = |at, used| Reading {
            account: "a".into(),
            window: LimitWindow::Other("seven_day_x".into()),
            at: now.before(std::time::Duration::from_secs(at)),
            used: Some(used),
            status: LimitStatus::Warning,
            resets_at: Some(now.after(std::time::Duration::from_secs(3600))),
            source: LimitSource::StatusLine,
            by: "one".into(),
        };
        let spend = |who: &str, ago| Spend {
            at: now.before(std::time::Duration::from_secs(ago)),
            who: who.into(),
            cost: Usd::from_picos(1_000_000_000_000),
        };
        let spends = [spend("pts/1:local:u:h:7", 800), spend("conversation:c", 100), spend("x", 90)];
        let limits = Limits::merge([reading(900, 3_000), reading(600, 5_001)], now).limits;
        let limits: Vec<LimitUse> = limits.iter().map(|it| LimitUse::of(it, &spends, now)).collect();
        assert!(limits[0].estimate.is_some() && !limits[0].shares.is_empty(), "{limits:?}");
        let limit = limits[0].limit.clone();
        let burn = BurnRate {
            usd_per_hour: 0.1 + 0.2,
            low: 1.0 / 3.0,
            high: 1e-9,
            pace_usd_per_hour: 7.7,
            active_share: 0.7,
            active_quarters: 9,
        };
        let tried = Backtest {
            samples: 21,
            coverage: 2.0 / 3.0,
            median_error_minutes: 0.3,
            linear_error_minutes: 9.9,
        };
        let forecast = |method, runs_out_at: Option<Timestamp>| Prediction {
            account: limit.account.to_string(),
            window: limit.window.clone(),
            used_percentage: Some(50.0 + 1.0 / 7.0),
            resets_at: limit.resets_at,
            runs_out_at,
            low: runs_out_at,
            high: None,
            resets_first: runs_out_at.map(|_| false),
            turns_left: runs_out_at.map(|_| 7),
            method,
            burn: Some(burn),
            backtest: Some(tried),
        };
        let lacks = [Lack::NoWindow, Lack::NoSample, Lack::NoPercentCost, Lack::ShortHistory];
        let lacking = lacks.into_iter().map(|lack| forecast(Method::InsufficientData(lack), None));
        let found = [Method::Habit, Method::Recent, Method::Hit].map(|method| forecast(method, Some(now)));
        for forecast in lacking.chain(found).map(Some).chain([None]) {
            let limits = vec![LimitUse { forecast, ..limits[0].clone() }];
            let live = Live { limits, ..Live::default() };
            assert_eq!(Live::from_bytes(&live.to_bytes()).unwrap().limits, live.limits);
        }
    }

    #[test]
    fn bytes_of_others_are_refused() {
        let bytes = String::from_utf8(view(&Ledger::default()).to_bytes()).unwrap();
        assert!(Live::from_bytes(bytes.as_bytes()).is_some());
        let older = bytes.replace(&format!("\"version\":{VERSION}"), "\"version\":1");
        for other in [older.as_str(), "{\"version\":7,\"more\":[]}", "", "[]", "null", "\u{0}"] {
            assert!(Live::from_bytes(other.as_bytes()).is_none(), "{other}");
        }
    }
}
