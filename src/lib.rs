//! Kenshin (検針, "meter reading"): an open LPWA head-end, the server that battery-powered gas,
//! electricity and water terminals call over LTE-M.
//!
//! # Modules
//!
//! | Module | Job | May use |
//! |---|---|---|
//! | [`wire`] | bytes to types and back, one folder a protocol | nom, core, alloc |
//! | [`crypto`] | typed wrappers on ciphers, key types | RustCrypto, [`wire`] |
//! | [`keyring`] | keys per utility, with versions | [`crypto`], [`wire`] |
//! | [`session`] | a state machine per protocol, without IO | all of the above, `now` passed in |
//! | [`cli`] | the command line | everything |
//! | [`time`] | the only reader of system clocks | `std::time` |
//!
//! # The layer rule
//!
//! A module may name only what stands above it in the table. In particular:
//!
//! - `wire`, `crypto`, `keyring` and `session` are pure: they never name a socket, a file, the
//!   environment, a clock or a logger. What they need is passed in.
//! - `wire` knows no keys; `crypto` knows no key ring and no session.
//! - Only `cli` opens files.
//! - Only `time` reads clocks.
//! - The package `simulator` is a second implementation of the terminal's side, written from the
//!   specification. It never names this package, so that a mistake here cannot hide there.
//!
//! The test `tests/tidy.rs` enforces this on the source text.

// pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod forward;
pub mod ingest;
pub mod keyring;
pub mod model;
pub mod net;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod wire;
