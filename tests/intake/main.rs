//! Whole steps through intake, log, state and a sink: whatever order they come in, and whatever is
//! wrong with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../support/hand.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod hand;
#[path = "../support/heard.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod heard;
#[path = "../support/plan.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod plan;

mod admission;
mod doubtful;
mod order;
mod world;
