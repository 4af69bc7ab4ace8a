//! Searches for an input that breaks [`claudewatch_fuzz::stat_line`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| claudewatch_fuzz::stat_line(data));

#[cfg(not(fuzzing))]
fn main() {}
