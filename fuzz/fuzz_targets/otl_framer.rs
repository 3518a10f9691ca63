//! Octets of a TCP stream, chunked at random.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kenshin_fuzz::otl_framer::run(data));
