//! A server's machine against an independent terminal, in virtual time, without sockets or sleeps.
//!
//! The terminal is that of the package `simulator`, written from the specification alone; the
//! server is `kenshin::session::otl::machine` with a store that takes its time. [`pair`] joins them
//! over a seeded link that loses, delays, repeats and reorders, and writes a log that a person can
//! read: one line an event. [`scenarios`] hold that log against a snapshot; [`storms`] draw the
//! weather at random and hold the outcome against what the terminal was told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

mod journal;
mod pair;
mod parties;
mod scenarios;
mod server;
mod storms;
