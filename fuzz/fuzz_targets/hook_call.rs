//! Searches for an input that breaks [`claudewatch_fuzz::hook_call`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| claudewatch_fuzz::hook_call(data));

#[cfg(not(fuzzing))]
fn main() {}
