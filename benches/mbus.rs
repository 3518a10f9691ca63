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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    // Words choose among the figures by their names, as those of `cargo test` do.
    let words: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    reading::run(is_test, &is_wanted);
    secured::run(is_test, &is_wanted);
}
