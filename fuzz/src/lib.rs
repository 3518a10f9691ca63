//! What the fuzz targets check, as plain functions.
//!
//! Each target of `fuzz_targets/` only passes its input to the function of its name in this
//! library, so that `cargo test` can replay the committed corpora on a stable toolchain without
//! libFuzzer.
//!
//! A function takes any octets and returns nothing. It stops with a failed assertion where a
//! property of its own does not hold; a panic in the code under test is a finding too.

mod content;
pub mod keys;
pub mod mbus_afl;
pub mod mbus_app;
pub mod mbus_lines;
pub mod mbus_link;
pub mod mbus_open;
pub mod otl_frame;
pub mod otl_framer;
pub mod otl_open;
pub mod otl_records;
pub mod otl_roundtrip;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its binary and of its folder in `corpus/`.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    Target {
        name: "otl_framer",
        run: otl_framer::run,
    },
    Target {
        name: "otl_frame",
        run: otl_frame::run,
    },
    Target {
        name: "otl_records",
        run: otl_records::run,
    },
    Target {
        name: "otl_roundtrip",
        run: otl_roundtrip::run,
    },
    Target {
        name: "otl_open",
        run: otl_open::run,
    },
    Target {
        name: "mbus_lines",
        run: mbus_lines::run,
    },
    Target {
        name: "mbus_link",
        run: mbus_link::run,
    },
    Target {
        name: "mbus_afl",
        run: mbus_afl::run,
    },
    Target {
        name: "mbus_app",
        run: mbus_app::run,
    },
    Target {
        name: "mbus_open",
        run: mbus_open::run,
    },
];
