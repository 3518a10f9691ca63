//! Any octets as the plaintext of an uplink.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::otl_records::run(data));
