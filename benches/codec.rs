//! What the codec costs: the ratio of our opening and decoding to a bare AES-CCM open of the same
//! octets, and each part alone. `README.md` beside this file says how to read it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench stops at the first surprise"
)]

#[path = "codec/fixture.rs"]
mod fixture;
#[path = "codec/parts.rs"]
mod parts;
#[path = "codec/ratio.rs"]
mod ratio;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'));
    let wants_ratio = filters.clone().count() == 0 || filters.any(|filter| filter == "ratio");
    if wants_ratio && !has("--list") {
        ratio::run(has("--test"));
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20)
        .configure_from_args();
    parts::run(&mut criterion);
    criterion.final_summary();
}
