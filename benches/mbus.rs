//! What M-Bus telegrams cost: reading them beside the `m-bus-parser` crate on the same telegrams in
//! the same run, and opening secured ones with the keys of a million meters. `README.md` beside
//! this file says how to read it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "a bench stops at the first surprise"
)]

#[path = "mbus/corpus.rs"]
mod corpus;
#[path = "mbus/reading.rs"]
mod reading;
#[path = "mbus/secured.rs"]
mod secured;
#[path = "mbus/turns.rs"]
mod turns;

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    reading::run(is_test);
    secured::run(is_test);
}
