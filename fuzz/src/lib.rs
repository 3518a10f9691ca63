//! What the fuzz targets check, as plain functions.
//!
//! Each target of `fuzz_targets/` only passes its input to a function of this library, so that
//! `cargo test` can replay the committed corpora on a stable toolchain without libFuzzer.
