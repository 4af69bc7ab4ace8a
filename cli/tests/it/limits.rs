//! `limits` and `wait`: every source merged, checked and waited for.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use session_store::Timestamp;

use crate::env::{Env, Reply, now, parse};

fn seconds_from_now(seconds: i64) -> i64 {
    now().as_millis() / 1000 + seconds
}

fn minutes_ago(minutes: u64) -> Timestamp {
    now().before(Duration::from_secs(minutes * 60))
}

/// Writes what Claude Code keeps of its last look at the account.
fn cache(env: &Env, minutes: u64, utilization: Value) {
    let cached = json!({"fetchedAtMs": minutes_ago(minutes).as_millis(), "utilization": utilization});
    let text = json!({"oauthAccount": {"x": 1}, "cachedUsageUtilization": cached}).to_string();
    fs::write(env.path("home/.claude.json"), text).unwrap();
}

fn refuse(env: &Env, conversation: &str, window: &str, minutes: u64, reset: i64) {
    let at = minutes_ago(minutes).to_string();
    env.write(conversation, &[Reply::new("err", &at).of(conversation).refused(window, reset)]);
}

#[test]
fn nothing_known_is_said_so() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    assert_eq!(
        env.run(&["limits"]).ok(),
        "No limit is known now: no status line has told of one, and no refusal that still holds.\n"
    );
    assert_eq!(
        env.json(&["limits"]),
        json!({"schema_version": 1, "limits": [], "refused_values": 0, "predictions": []})
    );
    assert_eq!(env.run(&["limits", "--check", "--quiet"]).ok(), "");
    assert_eq!(env.run(&["wait"]).ok(), "");
}

#[test]
fn a_refusal_in_a_transcript_is_a_limit_that_is_hit() {
    let env = Env::new();
    let at = |minutes| minutes_ago(minutes).to_string();
    env.write("a", &[Reply::new("msg_1", &at(50)).of("a").output(300), Reply::new("msg_2", &at(20)).of("a")]);
    env.write("b", &[Reply::new("msg_3", &at(40)).of("b").output(100)]);
    let reset = seconds_from_now(3600);
    refuse(&env, "a", "five_hour", 2, reset);
    let limits = env.json(&["limits"]);
    let limit = &limits["limits"][0];
    assert_eq!(limits["limits"].as_array().unwrap().len(), 1);
    assert_eq!((&limit["window"], &limit["status"]), (&json!("five_hour"), &json!("rejected")));
    assert_eq!((&limit["used_percentage"], &limit["source"]), (&json!(100.0), &json!("transcript")));
    assert_eq!(limit["resets_at"], Timestamp::from_seconds(reset).to_string());
    assert!((115..200).contains(&limit["age_seconds"].as_u64().unwrap()), "{limit}");
    let shares: Vec<_> = limit["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["conversation_id"].as_str().unwrap(), it["share"].as_f64().unwrap()))
        .collect();
    assert_eq!(shares.iter().map(|(who, _)| *who).collect::<Vec<_>>(), ["a", "b"]);
    assert!((shares[0].1 + shares[1].1 - 1.0).abs() < 1e-9 && shares[0].1 > 0.6, "{shares:?}");
    assert_eq!(limit["elsewhere_share"], 0.0);
    let text = env.run(&["limits"]).ok();
    assert!(text.contains("│ 5-hour limit │ 100% hit ██████████ │") && text.contains("(in 59 m)"), "{text}");
    let check = env.run(&["limits", "--check"]);
    assert_eq!((check.code, check.stderr.as_str()), (Some(11), ""));
    // Where the same conversation was answered again, it is over, whatever was said of the reset.
    env.write("a", &[Reply::new("msg_9", &at(0)).of("a")]);
    assert_eq!(env.json(&["limits"])["limits"], json!([]));
    assert_eq!(env.run(&["limits", "--check"]).code, Some(0));
}

#[test]
fn a_busy_server_is_no_limit() {
    let env = Env::new();
    let busy =
        Reply::now("err").model("<synthetic>").set("/isApiErrorMessage", true).set("/error", "rate_limit");
    env.write(
        "c",
        &[busy.set("/message/content", json!([{"type": "text", "text": "API Error: Rate limit reached"}]))],
    );
    assert_eq!(env.json(&["limits"])["limits"], json!([]));
}

#[test]
fn texts_of_older_clients_are_limits() {
    let env = Env::new();
    let reset = Timestamp::from_seconds(seconds_from_now(3600) / 60 * 60);
    let clock = reset.to_string()[11..16].to_owned();
    let said = format!("5-hour limit reached ∙ resets {clock} (UTC)");
    let refused =
        Reply::now("err").model("<synthetic>").set("/isApiErrorMessage", true).set("/error", "rate_limit");
    env.write("c", &[refused.set("/message/content", json!([{"type": "text", "text": said}]))]);
    let limit = &env.json(&["limits"])["limits"][0];
    assert_eq!((&limit["window"], &limit["status"]), (&json!("five_hour"), &json!("rejected")), "{said}");
    assert_eq!(limit["resets_at"], reset.to_string());
}

#[test]
fn what_claude_code_keeps_counts_while_it_is_the_newest() {
    let env = Env::new();
    env.write("a", &[Reply::new("msg_1", &minutes_ago(70).to_string()).of("a").output(4000)]);
    let reset = Timestamp::from_seconds(seconds_from_now(9000)).to_string();
    let fable = json!({"kind": "weekly_scoped", "percent": 98, "resets_at": reset,
                       "scope": {"model": {"display_name": "Fable"}}});
    cache(&env, 60, json!({"five_hour": {"utilization": 40, "resets_at": reset}, "limits": [fable]}));
    let limits = env.json(&["limits"]);
    let told: Vec<_> = limits["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["window"].as_str().unwrap(),
                it["used_percentage"].as_f64().unwrap(),
                it["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("five_hour", 40.0, "allowed"), ("seven_day_overage_included", 98.0, "warning")]);
    assert_eq!(limits["limits"][0]["source"], "cache");
    assert_eq!(limits["limits"][0]["estimated_percentage"], Value::Null);
    // Nobody here used Fable.
    assert_eq!(limits["limits"][1]["elsewhere_share"], 1.0);
    assert_eq!(env.run(&["limits", "--check"]).code, Some(10));
    // What was used since moves it on, as an estimate; the official value stays what it is.
    env.write("a", &[Reply::new("msg_2", &minutes_ago(10).to_string()).of("a").output(2000)]);
    let limit = &env.json(&["limits"])["limits"][0];
    assert_eq!(limit["used_percentage"], 40.0);
    let estimate = limit["estimated_percentage"].as_f64().unwrap();
    assert!((59.0..61.0).contains(&estimate), "{estimate}");
    let text = env.run(&["limits"]).ok();
    assert!(text.contains(" ~60%"), "{text}");
}

#[test]
fn values_that_cannot_be_true_are_counted() {
    let env = Env::new();
    let reset = Timestamp::from_seconds(seconds_from_now(9000)).to_string();
    let far = Timestamp::from_seconds(seconds_from_now(90_000)).to_string();
    cache(
        &env,
        1,
        json!({"five_hour": {"utilization": 40, "resets_at": far}, "seven_day": {"utilization": 7, "resets_at": reset}}),
    );
    let limits = env.json(&["limits"]);
    assert_eq!((limits["limits"].as_array().unwrap().len(), &limits["refused_values"]), (1, &json!(1)));
    let text = env.run(&["limits"]).ok();
    assert!(text.ends_with("1 value was refused: absurd time.\n"), "{text}");
}

#[test]
fn waiting_ends_with_the_reset_or_with_the_time() {
    let env = Env::new();
    refuse(&env, "a", "five_hour", 2, seconds_from_now(3600));
    let waited = env.run(&["wait", "--until-reset", "--timeout", "50ms"]);
    assert_eq!((waited.code, waited.stdout.as_str()), (Some(4), ""));
    assert!(
        waited.stderr.starts_with("claudewatch: waiting for the 5-hour limit, which is reset at "),
        "{}",
        waited.stderr
    );
    assert_eq!(env.run(&["wait", "--quiet", "--timeout", "0"]).stderr, "");
    for wrong in [
        &["wait", "--timeout", "soon"][..],
        &["wait", "--below", "101"],
        &["wait", "--below", "5", "--until-reset"],
    ] {
        assert_eq!(env.run(wrong).code, Some(2), "{wrong:?}");
    }

    let env = Env::new();
    let reset = seconds_from_now(2);
    refuse(&env, "a", "five_hour", 2, reset);
    assert_eq!(env.run(&["wait", "--quiet"]).ok(), "");
    assert!(now() >= Timestamp::from_seconds(reset), "not before the reset");

    let env = Env::new();
    let reset = Timestamp::from_seconds(seconds_from_now(9000)).to_string();
    cache(&env, 1, json!({"five_hour": {"utilization": 40, "resets_at": reset}}));
    assert_eq!(env.run(&["wait", "--quiet"]).code, Some(0), "what is not hit is not waited for");
    assert_eq!(env.run(&["wait", "--quiet", "--below", "40%", "--timeout", "10ms"]).code, Some(4));
    assert_eq!(env.run(&["wait", "--quiet", "--below", "41"]).code, Some(0));
}

/// Does something within one of the stretches for which forecasts stand; done again where the next began meanwhile.
fn within_one_step<T>(mut act: impl FnMut() -> T) -> T {
    loop {
        let step = || now().floor(Duration::from_secs(300));
        let (began, done) = (step(), act());
        if step() == began {
            return done;
        }
    }
}

#[test]
fn forecasts_come_with_what_the_past_says_of_them() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    // Without a history there is no number.
    let told = env.json(&["limits", "--backtest"]);
    for prediction in told["predictions"].as_array().unwrap() {
        assert_eq!(prediction["method"], "insufficient_data");
        assert!(prediction["lacks"].is_string());
        assert_eq!((&prediction["runs_out_at"], &prediction["resets_first"]), (&Value::Null, &Value::Null));
    }
    let table = env.run(&["limits", "--backtest"]).ok();
    assert!(table.contains("not enough data"), "{table}");

    // Four weeks with six hours of work a day, and two hours of it today.
    let mut lines = Vec::new();
    for day in 0..28u64 {
        for quarter in 0..if day == 0 { 8 } else { 24 } {
            let minutes = day * 1440 + quarter * 15 + 1;
            let id = format!("msg_{day}_{quarter}");
            lines.push(Reply::new(&id, &minutes_ago(minutes).to_string()).of("d").output(1000 + day * 10));
        }
    }
    env.write("d", &lines);
    let reset = Timestamp::from_seconds(seconds_from_now(7200)).to_string();
    cache(&env, 1, json!({"five_hour": {"utilization": 95, "resets_at": reset}}));
    let told = env.json(&["limits", "--backtest"]);
    let prediction = told["predictions"].as_array().unwrap().iter().find(|it| it["window"] == "five_hour");
    let prediction = prediction.unwrap();
    assert_eq!(prediction["method"], "habit", "{prediction}");
    let backtest = &prediction["backtest"];
    assert!(backtest["samples"].as_u64().unwrap() >= 20, "{backtest}");
    assert!((0.0..=1.0).contains(&backtest["coverage"].as_f64().unwrap()), "{backtest}");
    assert!(backtest["median_error_minutes"].as_f64().unwrap() >= 0.0);
    assert!(
        Timestamp::parse(prediction["runs_out_at"].as_str().unwrap()).unwrap()
            > now().before(Duration::from_secs(60))
    );
    assert_eq!(prediction["resets_first"], false);
    assert!(prediction["turns_left"].is_u64());
    let table = env.run(&["limits", "--backtest"]).ok();
    assert!(table.contains("Median error") && table.contains("5-hour limit"), "{table}");

    // All commands tell the same forecast, with what the past says of it; so do monitors, whoever of them computes it.
    let five_hour = |told: &Value, list: &str| {
        told[list].as_array().unwrap().iter().find(|it| it["window"] == "five_hour").cloned().unwrap()
    };
    let prediction = |told: &Value| {
        let mut prediction = five_hour(told, "predictions");
        assert!(prediction["low"].is_string() && prediction["backtest"]["samples"].is_u64(), "{prediction}");
        prediction["runs_out_at"].take()
    };
    let all = || {
        let monitors = [env.start(&["--json"]), env.start(&["--json"])];
        let shown = monitors.each_ref().map(|monitor| five_hour(&parse(&monitor.line()), "limits"));
        let mut told: Vec<Value> = shown.into_iter().map(|mut limit| limit["runs_out_at"].take()).collect();
        let status = env.json(&["status"]);
        drop(monitors);
        let (alone, limits) = (env.json(&["status"]), env.json(&["limits"]));
        let exported = parse(&env.run(&["export", "--quiet", "-"]).ok());
        let explained = env.json(&["explain", "five_hour"]);
        told.extend([&status, &alone, &limits].map(|told| five_hour(told, "limits")["runs_out_at"].take()));
        told.extend([&limits, &exported].map(prediction));
        told.push(explained["limits"][0]["prediction"]["runs_out_at"].clone());
        told
    };
    let told = within_one_step(all);
    assert!(told[0].is_string() && told.iter().all(|it| *it == told[0]), "{told:?}");
    let plain = env.json(&["limits"]);
    assert_eq!(plain["predictions"].as_array().unwrap().len(), 1);
    let metrics = env.run(&["metrics"]).ok();
    let coverage = metrics
        .lines()
        .find(|line| line.starts_with("claudewatch_limit_forecast_coverage_ratio{"))
        .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .unwrap();
    assert!((coverage - backtest["coverage"].as_f64().unwrap()).abs() < 1e-4, "{metrics}");
    assert!(metrics.contains("claudewatch_limit_runs_out_timestamp_seconds{"), "{metrics}");
    let table = env.run(&["limits"]).ok();
    assert!(
        table.contains("5-hour limit: full ") && table.contains("forecasts tried on the past"),
        "{table}"
    );

    // A limit of which too little is known has no number.
    cache(&env, 1, json!({"seven_day": {"utilization": 3, "resets_at": reset}}));
    let told = env.json(&["limits"]);
    let week = |list: &str| {
        told[list].as_array().unwrap().iter().find(|it| it["window"] == "seven_day").cloned().unwrap()
    };
    assert_eq!(week("limits")["runs_out_at"], Value::Null);
    assert_eq!(week("predictions")["method"], "insufficient_data");
    let table = env.run(&["limits"]).ok();
    assert!(table.contains("not enough data"), "{table}");
}

#[test]
fn a_window_that_ended_is_told_of_for_an_hour() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    let ended = |minutes: u64| {
        cache(
            &env,
            minutes + 60,
            json!({"five_hour": {"utilization": 40, "resets_at": minutes_ago(minutes).to_string()}}),
        );
        env.json(&["limits"])["limits"].clone()
    };
    let just = ended(20);
    assert_eq!((&just[0]["is_over"], &just[0]["runs_out_at"]), (&json!(true), &Value::Null), "{just}");
    let text = env.run(&["limits"]).ok();
    assert!(text.contains(" reset ") && text.contains("20 m ago") && !text.contains('%'), "{text}");
    assert_eq!(ended(61), json!([]));
    assert!(
        env.run(&["limits"]).ok().starts_with("No limit is known"),
        "nothing is known of the window that followed"
    );
}

/// A window lives longer than a session; its shares keep the session's name.
#[test]
#[cfg(target_os = "linux")]
fn a_share_is_of_its_session_also_when_that_has_ended() {
    let env = Env::new();
    let claude = crate::claude::FakeClaude::start(&env, "a");
    let id = claude.key().session_id().to_string();
    env.write("a", &[Reply::new("msg_1", &minutes_ago(50).to_string()).of("a").output(300)]);
    refuse(&env, "a", "five_hour", 2, seconds_from_now(3600));
    let share = || env.json(&["limits"])["limits"][0]["shares"][0]["session_id"].clone();
    assert_eq!(share(), id.as_str());
    drop(claude);
    assert_eq!(share(), id.as_str());
}
