//! Records on their way out: their form, cursors, files, and pulling over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "../support/http.rs"]
mod http;
#[path = "../support/otl.rs"]
mod otl;

mod files;
mod pull;
mod records;
mod sinks;
mod start;
mod world;
