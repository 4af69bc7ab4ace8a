//! Searches for an input that breaks [`claudewatch_fuzz::ledger_join`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| claudewatch_fuzz::ledger_join(data));

#[cfg(not(fuzzing))]
fn main() {}
