//! The carriage of M-Bus telegrams: from a gateway's line or datagram to a frame of the log, and
//! back to its answer. Sockets, log and state are the real ones; whoever opens telegrams and
//! whoever knows gateways are stand-ins, so that nothing here depends on keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "../support/running.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod running;

mod backlogs;
mod binary;
mod connections;
mod copies;
mod datagrams;
mod kills;
mod places;
mod power;
mod room;
mod strangers;
mod tls;
mod world;
