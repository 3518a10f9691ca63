//! The real binary as operators, collectors and consumers meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "../support/hand.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod hand;
#[path = "../support/serve.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod serve;

mod call;
mod http;
mod logs;
mod metrics;
mod pull;
mod start;
mod town;
