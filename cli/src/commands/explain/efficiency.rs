//! What is behind an efficiency score: the sums it is made of, and its parts with their weights.

use serde::Serialize;
use session_analytics::{
    Effort, PROMPT_TOKENS_MIN, REPLIES_MIN, Tokens, WEIGHT_CACHED, WEIGHT_FINISHED, WEIGHT_UNBLOCKED,
};

/// A score as JSON, as exports tell it, with the sums it is made of.
#[derive(Serialize)]
pub(super) struct EfficiencyOut {
    /// `null` below the minimum of data.
    score: Option<f64>,
    days: u64,
    cached: Option<Part>,
    finished: Option<Part>,
    unblocked: Option<Part>,
    replies: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    cost_usd: f64,
    lost_usd: f64,
    active_minutes: u64,
    blocked_minutes: u64,
}

#[derive(Serialize)]
struct Part {
    share: f64,
    weight: f64,
}

impl EfficiencyOut {
    pub(super) fn of(effort: &Effort, days: u64) -> Self {
        let score = effort.score();
        let part = |share: Option<f64>, weight| share.map(|share| Part { share, weight });
        Self {
            score: score.map(|it| it.value),
            days,
            cached: part(score.map(|it| it.cached), WEIGHT_CACHED),
            finished: part(score.and_then(|it| it.finished), WEIGHT_FINISHED),
            unblocked: part(score.map(|it| it.unblocked), WEIGHT_UNBLOCKED),
            replies: effort.replies,
            prompt_tokens: effort.prompt_tokens,
            cached_tokens: effort.cached_tokens,
            cost_usd: effort.cost.as_dollars(),
            lost_usd: effort.lost.as_dollars(),
            active_minutes: effort.active_ms / 60_000,
            blocked_minutes: effort.blocked_ms / 60_000,
        }
    }

    pub(super) fn text(&self) -> String {
        let score = self.score.map_or_else(
            || format!("none below {REPLIES_MIN} replies or {} tokens of prompts", Tokens(PROMPT_TOKENS_MIN)),
            |score| format!("{score:.2}"),
        );
        let mut out = format!("Efficiency over the last {} days: {score}\n", self.days);
        let mut line = |part: &Option<Part>, text: String| match part {
            Some(part) => out.push_str(&format!("    {:.2} × {:.2}  {text}\n", part.weight, part.share)),
            None => out.push_str(&format!("                 {text}\n")),
        };
        let (cached, prompts) = (Tokens(self.cached_tokens), Tokens(self.prompt_tokens));
        line(&self.cached, format!("{cached} of {prompts} tokens of prompts came from the cache"));
        let (lost, cost) = (self.lost_usd, self.cost_usd);
        line(&self.finished, format!("${lost:.2} of ${cost:.2} ended in errors, interruptions, refusals"));
        let (blocked, active) = (self.blocked_minutes, self.active_minutes);
        line(&self.unblocked, format!("{blocked} minutes blocked by limits beside {active} at work"));
        out
    }
}
