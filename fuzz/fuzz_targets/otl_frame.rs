//! Any octets as a frame of either direction.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::otl_frame::run(data));
