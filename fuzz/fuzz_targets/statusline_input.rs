//! Searches for an input that breaks [`claudewatch_fuzz::statusline_input`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| claudewatch_fuzz::statusline_input(data));

#[cfg(not(fuzzing))]
fn main() {}
