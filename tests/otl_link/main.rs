//! A server's rules against an independent terminal, in virtual time, without sockets or sleeps.
//!
//! The terminal is that of the package `simulator`, written from the specification alone; the
//! server is `kenshin::session::otl` with a store that can be copied and set back. [`world`] joins
//! them with a link that loses and repeats what a test tells it to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

mod commands;
mod link_rules;
mod mishaps;
mod nonces;
mod refusals;
mod rotation;
mod world;
