//! Searches for an input that breaks [`claudewatch_fuzz::html_escape`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| claudewatch_fuzz::html_escape(data));

#[cfg(not(fuzzing))]
fn main() {}
