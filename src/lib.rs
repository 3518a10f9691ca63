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
//! | [`model`] | names, positions, durable and outward forms | [`session`], serde |
//! | [`store`] | files, the custody log, state | [`model`], [`session`] |
//! | [`net`] | terminal sockets, admission | tokio, nix, [`wire`] |
//! | [`ingest`] | frames to steps of the log, and back | [`session`], [`store`], [`net`] |
//! | [`forward`] | records on their way to sinks | [`model`], [`store`] |
//! | [`registry`] | what operators say of utilities, terminals, key states | [`model`], [`store`] |
//! | [`admin`] | the socket of operators | tokio, [`registry`], [`forward`] |
//! | [`config`] | the configuration | [`model`], [`keyring`] |
//! | [`telemetry`] | metrics, log lines | prometheus-client, tracing |
//! | [`api`] | HTTP | axum, [`telemetry`] |
//! | [`threads`] | priorities of threads | rustix |
//! | [`shutdown`] | signals and stages | tokio |
//! | [`app`] | the server put together | everything but [`cli`] |
//! | [`cli`] | the command line | everything |
//! | [`time`] | the only reader of system clocks | `std::time` |
//!
//! # The layer rule
//!
//! A module may name only what stands above it in the table. In particular:
//!
//! - `wire`, `crypto`, `keyring`, `session` and `model` are pure: they never name a socket, a
//!   file, the environment, a clock or a logger. What they need is passed in.
//! - `wire` knows no keys; `crypto` knows no key ring and no session.
//! - Only `store` and `cli` open files; only `net` opens terminal sockets; only `admin` opens the
//!   Unix socket of operators.
//! - Only `time` reads clocks.
//! - The package `simulator` is a second implementation of the terminal's side, written from the
//!   specification. It never names this package, so that a mistake here cannot hide there.
//!
//! The test `tests/tidy.rs` enforces this on the source text.

pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod forward;
pub mod ingest;
pub mod keyring;
pub mod model;
pub mod net;
pub mod registry;
pub mod session;
pub mod shutdown;
pub mod store;
pub mod table;
pub mod telemetry;
pub mod threads;
pub mod time;
pub mod wire;
