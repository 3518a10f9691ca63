//! M-Bus: see `kenshin_fuzz::mbus_afl`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::mbus_afl::run(data));
