//! Measures what coordination promises, between real processes.
//!
//! ```console
//! $ cargo build --release
//! $ cargo run --release -p claudewatch-benches --example sessions
//! ```
//!
//! Prints each figure beside what is asked for; `quick` as an argument takes a tenth of the time, `calls`
//! measures the calls of Claude Code alone. Members of the library are
//! this program again; monitors are `claudewatch` itself. Figures are worth something on a machine that does nothing else.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod members;
#[cfg(target_os = "linux")]
mod monitors;
#[cfg(target_os = "linux")]
mod process;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["member", place, number] => members::take_part(place.as_ref(), number.parse()?),
        ["starter", place, number] => members::start_with_the_others(place.as_ref(), number.parse()?),
        ["calls"] => {
            tell("what", "measured", "asked for");
            calls::calls(200, 20)
        }
        [] | ["quick"] => {
            let share = if words.is_empty() { 1 } else { 10 };
            tell("what", "measured", "asked for");
            members::notices(500 / share)?;
            members::takeovers(50 / share)?;
            members::starts(100 / share)?;
            monitors::frozen_leader()?;
            monitors::at_rest(60 / share as u64)?;
            monitors::a_hundred(30 / share as u64)?;
            calls::calls(200 / share as u64, 30 / share as u64)
        }
        _ => Err("usage: sessions [quick | calls]".into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the measurements read /proc");
}

/// Prints a line of the table.
#[cfg(target_os = "linux")]
fn tell(what: &str, measured: &str, asked: &str) {
    println!("{what:<52} {measured:>24}  {asked}");
}
