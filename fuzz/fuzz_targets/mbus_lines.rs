//! M-Bus: see `kenshin_fuzz::mbus_lines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::mbus_lines::run(data));
