//! The registries of the specification: numbers on the wire and their text ids.
//!
//! The tables in `protocol-spec/registries` are the source; tests compare each of these with its
//! file. A number that no registry knows is kept as it came, and shown as `unknown_<number>`.

pub mod alarms;
pub mod commands;
pub mod items;
pub mod units;
pub mod valve;

use std::borrow::Cow;

/// The id of a number, or `unknown_<number>` in decimal where there is none.
#[must_use]
pub fn id_or_unknown(id: Option<&'static str>, number: u8) -> Cow<'static, str> {
    match id {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(format!("unknown_{number}")),
    }
}
