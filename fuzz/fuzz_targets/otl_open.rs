//! Secured frames and their content.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::otl_open::run(data));
