//! A history to draw: a year of heavy use, or a part of it, the same bytes each time, with hostile names in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_analytics::{
    Coordination, Effort, Figures, Filter, ForecastInput, Learned, LimitSource, Limits, Overview,
    OverviewInput, Page, Prediction, PriceBook, Reading, RecommendInput, Recommendation, SessionContext,
    SessionInfo, Sessions, WindowState, efforts, recommendations, told_samples,
};
use session_store::{
    Conversation, ConversationId, Deed, Event, Fact, Ledger, LimitCause, LimitHit, LimitSample, LimitWindow,
    Owner, Reset, Restraint, Role, Setting, Timestamp, Turn, Usage, Why, Zone,
};

/// The moment of all pages here.
pub(crate) const NOW: &str = "2026-11-22T16:40:00Z";

/// What whoever names a folder, a branch or a model may try on a reader.
pub(crate) const HOSTILE: [&str; 6] = [
    "/srv/<script>document.title='owned'</script>",
    "/srv/\"><img src=\"http://evil.example/x.png\" onerror=\"alert(1)\">",
    "/srv/'onmouseover='alert(1)",
    "/srv/</style></title><svg onload=alert(1)>",
    "/srv/exe\u{202e}gpj.\u{0}\u{1b}[31m",
    "/srv/&lt;b&gt;-->]]>",
];

const PROJECTS: [&str; 6] =
    ["/home/ada/shop", "/home/ada/notes", "/srv/etl", "/home/ada/paper", "/srv/infra", "/home/ada/game"];
const MODELS: [&str; 4] =
    ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929"];

/// Chance that is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A ledger with its sessions.
pub(crate) struct History {
    pub(crate) ledger: Ledger,
    pub(crate) sessions: Sessions,
    pub(crate) contexts: BTreeMap<Arc<str>, SessionContext>,
    pub(crate) now: Timestamp,
}

/// Makes a history of so many days before [`NOW`], with so many replies a day, and hostile names in it where wanted.
pub(crate) fn history(days: u64, replies: u64, names: &[&str]) -> History {
    let now = Timestamp::parse(NOW).unwrap();
    let mut dice = Dice(days * 1000 + replies);
    let mut made =
        History { ledger: Ledger::default(), sessions: Sessions::default(), contexts: BTreeMap::new(), now };
    let projects: Vec<&str> = PROJECTS.iter().chain(names).copied().collect();
    for day in (0..days).rev() {
        // Weekends are quiet, and some days are free.
        let date = now.before(Duration::from_secs(day * 86_400)).floor(Duration::from_secs(86_400));
        let is_weekend = matches!((date.as_millis() / 86_400_000 + 3) % 7, 5 | 6);
        if dice.below(10) == 0 || (is_weekend && dice.below(3) > 0) {
            continue;
        }
        made.day(&mut dice, date, replies, &projects);
    }
    made.meter();
    made
}

impl History {
    fn day(&mut self, dice: &mut Dice, date: Timestamp, replies: u64, projects: &[&str]) {
        let conversations = 3 + dice.below(6);
        for number in 0..conversations {
            let project = projects[dice.below(projects.len() as u64) as usize];
            let model = MODELS[(dice.below(10) as usize).min(7) / 2];
            let begin = date.after(Duration::from_secs(3600 * (7 + dice.below(12)) + dice.below(3600)));
            let id = format!("{:08x}-{number}", date.as_millis() / 1000);
            let owner =
                Owner { role: Role::Main, since: begin, conversation: id.as_str().into(), agent: None };
            let setting = Setting {
                at: begin,
                folder: Some(project.into()),
                branch: None,
                version: None,
                entrypoint: None,
            };
            let fact = Fact::Conversation(Conversation { first: setting.clone(), last: setting });
            self.put(format!("conversation:{id}"), begin, &owner, fact);
            self.session(dice, &owner, number);
            let mut at = begin;
            let mut context = 8_000 + dice.below(20_000);
            for reply in 0..replies / conversations {
                at = at.after(Duration::from_secs(20 + dice.below(240)));
                if at > self.now {
                    break;
                }
                let grown = 400 + dice.below(3_000);
                let usage = Usage {
                    input: 3 + dice.below(300),
                    output: 100 + dice.below(1_500),
                    cache_write_5m: grown,
                    cache_write_1h: 0,
                    cache_read: context,
                    web_searches: 0,
                };
                context += grown;
                let turn =
                    Turn { usage, model: model.into(), tariff: Default::default(), under_reported: false };
                self.put(format!("msg_{id}_{reply}"), at, &owner, Fact::Turn(turn));
            }
            if dice.below(14) == 0 && at < self.now {
                let hit = LimitHit {
                    cause: LimitCause::Quota,
                    resets_at: Reset(Some(at.after(Duration::from_secs(3600 + dice.below(5400))))),
                    window: LimitWindow::FiveHour,
                };
                self.restrain(&hit, at, &owner.conversation);
                self.put(format!("error:{id}"), at, &owner, Fact::LimitHit(hit));
            }
        }
    }

    /// Holds calls back before a limit is hit, and refuses some after that.
    fn restrain(&mut self, hit: &LimitHit, at: Timestamp, conversation: &ConversationId) {
        let waited = Deed::Waited { due_ms: 20_000, waited_ms: 20_004 };
        let deeds = [
            (40, waited, Why::AheadOfPace),
            (25, waited, Why::AheadOfPace),
            (0, Deed::Refused, Why::LimitHit),
        ];
        for (minutes, deed, why) in deeds {
            let restraint = Restraint {
                deed,
                done: true,
                why,
                window: hit.window.clone(),
                resets_at: hit.resets_at.0,
                used_hundredths: Some(if why == Why::LimitHit { 10_000 } else { 8_600 }),
                tool: "Agent".into(),
                priority: "normal".into(),
            };
            let _ = self.ledger.apply(restraint.event(
                conversation,
                at.before(Duration::from_secs(minutes * 60)),
                7,
            ));
        }
    }

    /// Gives most conversations a session; the latest are alive.
    fn session(&mut self, dice: &mut Dice, owner: &Owner, number: u64) {
        let kinds = [
            ("pts/1", "local", "local"),
            ("pts/2", "ssh_client", "ssh"),
            ("vscode", "local", "vscode"),
            ("notty", "local", "script"),
        ];
        let Some((place, link, kind)) = kinds.get(dice.below(5) as usize) else { return };
        let month = owner.since.as_millis() / (86_400_000 * 20);
        let info = SessionInfo {
            session_id: format!("{place}:{link}:ada:workstation:{}", month % 7000 + number as i64 % 2).into(),
            isolation_key: Arc::default(),
            session_type: (*kind).into(),
            user: "ada".into(),
            host: "workstation".into(),
        };
        let name = format!("s-{}", info.session_id);
        let context = SessionContext {
            is_alive: self.now.since(owner.since) < Duration::from_secs(86_400),
            notes: if *kind == "ssh" {
                vec!["tmux".into(), "from 10.0.0.7".into()]
            } else {
                vec!["Ghostty".into()]
            },
        };
        self.contexts.entry(name.as_str().into()).or_default().clone_from(&context);
        self.sessions.ran(&name, info, &owner.conversation, owner.since);
    }

    /// Tells the limits as of now, and a little before.
    fn meter(&mut self) {
        let owner = Owner { role: Role::Main, since: self.now, conversation: "meter".into(), agent: None };
        let reset = |hours: u64| self.now.after(Duration::from_secs(3600 * hours + 1200));
        let (five, seven) = (reset(1), reset(50));
        for (number, (window, reset, minutes, used)) in [
            (LimitWindow::FiveHour, five, 95, 3_100),
            (LimitWindow::FiveHour, five, 40, 5_600),
            (LimitWindow::FiveHour, five, 6, 7_850),
            (LimitWindow::SevenDay, seven, 400, 3_800),
            (LimitWindow::SevenDay, seven, 6, 4_225),
            (LimitWindow::SevenDayOpus, seven, 6, 9_100),
        ]
        .into_iter()
        .enumerate()
        {
            let at = self.now.before(Duration::from_secs(minutes * 60));
            let sample = LimitSample {
                window,
                resets_at: Some(reset),
                used_hundredths: Some(used),
                status: "allowed".into(),
            };
            self.put(format!("error:meter-{number}"), at, &owner, Fact::LimitSample(sample));
        }
    }

    fn put(&mut self, id: String, at: Timestamp, owner: &Owner, fact: Fact) {
        let _ = self.ledger.apply(Event { id: id.as_str().into(), at, owner: owner.clone(), fact });
    }
}

/// Everything that a page tells of a history.
pub(crate) struct Told {
    overview: Overview,
    limits: Limits,
    predictions: Vec<Prediction>,
    coordination: Coordination,
    recommendations: Vec<Recommendation>,
    efforts: BTreeMap<Option<Arc<str>>, Effort>,
    contexts: BTreeMap<Arc<str>, SessionContext>,
}

impl Told {
    pub(crate) fn of(history: &History) -> Self {
        let (book, zone, now) = (PriceBook::built_in(), Zone::named("Europe/Berlin").unwrap(), history.now);
        let figures = Figures::of(&history.ledger);
        let filter = Filter::default();
        let input = OverviewInput {
            figures: &figures,
            book: &book,
            zone: &zone,
            range: Timestamp::MIN..Timestamp::MAX,
            filter: &filter,
            sessions: &history.sessions,
            now,
        };
        let by = |event: &Event| event.id.as_str().into();
        let readings = history.ledger.iter().filter_map(|event| match &event.fact {
            Fact::LimitHit(hit) => Reading::of_hit("~/.claude".into(), hit, event.at, by(event)),
            Fact::LimitSample(sample) => Some(Reading::of_sample(
                "~/.claude".into(),
                sample,
                event.at,
                LimitSource::StatusLine,
                by(event),
            )),
            _ => None,
        });
        let limits = Limits::merge(readings, now);
        let predict = |limit: &session_analytics::Limit| {
            let state = WindowState {
                account: limit.account.to_string(),
                window: limit.window.clone(),
                used_percentage: limit.used_now().map(|used| f64::from(used) / 100.0),
                resets_at: limit.resets_at,
                observed_at: limit.observed_at,
            };
            let samples = told_samples(history.ledger.iter(), &limit.account, &limit.window);
            let input = ForecastInput {
                cells: &figures.cells,
                book: &book,
                zone: &zone,
                state: &state,
                samples: &samples,
                now,
            };
            let learned = BTreeMap::from([(limit.window.name().to_owned(), input.learn())]);
            Prediction::of(&input, &Learned { limits: learned })
        };
        let advice = RecommendInput {
            ledger: &history.ledger,
            book: &book,
            sessions: &history.sessions,
            account: "~/.claude",
            zone: &zone,
            now,
        };
        let all = Timestamp::MIN..Timestamp::MAX;
        let account = |_: &ConversationId| Some("~/.claude".into());
        Self {
            coordination: Coordination::of(&history.ledger, &all, &zone, &account, now),
            overview: Overview::build(&input, &|folder| folder.to_owned()),
            predictions: limits.limits.iter().map(predict).collect(),
            recommendations: recommendations(&advice),
            efforts: efforts(&history.ledger, &book, &history.sessions, now),
            contexts: history.contexts.clone(),
            limits,
        }
    }

    pub(crate) fn page(&self) -> Page<'_> {
        Page {
            overview: &self.overview,
            limits: &self.limits.limits,
            predictions: &self.predictions,
            coordination: &self.coordination,
            recommendations: &self.recommendations,
            efforts: &self.efforts,
            contexts: &self.contexts,
        }
    }
}
