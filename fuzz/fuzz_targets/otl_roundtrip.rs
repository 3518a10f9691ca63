//! Any octets as each plaintext: what decodes encodes to the same octets.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::otl_roundtrip::run(data));
