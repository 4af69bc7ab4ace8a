//! Prints how forecasts did on synthetic accounts with known truth, beside a plain line.

use claudewatch_benches::account::Account;
use claudewatch_benches::trial::{Verdict, compare};

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(20);
    let accounts: Vec<Account> = (1..=count).map(|seed| Account::of(seed, 84)).collect();
    let windows: usize = accounts.iter().map(|account| account.windows.len()).sum();
    let ran_out: usize = accounts
        .iter()
        .flat_map(|account| &account.windows)
        .filter(|window| window.ran_out_at.is_some())
        .count();
    println!("{count} accounts, {windows} windows, {ran_out} ran out\n");
    let (ours, line) = compare(&accounts);
    println!(
        "| method | questions | cases | median error | 90th percentile | in the interval | false alarms | missed |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    row("forecast", &ours, true);
    row("plain line", &line, false);
}

fn row(name: &str, verdict: &Verdict, has_interval: bool) {
    let covered = f64::from(verdict.covered) / f64::from(verdict.cases.max(1)) * 100.0;
    let covered = if has_interval { format!("{covered:.0} %") } else { "–".to_owned() };
    println!(
        "| {name} | {} | {} | {:.0} min | {:.0} min | {covered} | {} | {} |",
        verdict.questions,
        verdict.cases,
        verdict.error(0.5),
        verdict.error(0.9),
        verdict.false_alarms,
        verdict.missed,
    );
}
