//! The keys of M-Bus meters, and the counters of what is sent to them.
//!
//! [`MeterKeyring`] holds the keys of as many meters as there are, each with its utility and its
//! policy. It is made of a table ([`csv`]) or of a sealed file (`keyring::sealed`), and does not
//! change afterwards. [`MeterKeys`] is how whoever opens telegrams asks for keys, and
//! [`reservation`] keeps the counters of downlinks from ever coming twice.
//!
//! These are communication keys, which read meters: the keys of valves are application keys, whose
//! numbers lie above [`KeyId::MAX`] and which no ring of a server takes.

mod asked;
pub mod csv;
pub mod meter;
pub mod reservation;
mod ring;
mod slots;
mod summary;
#[cfg(test)]
mod tests;

pub use asked::{KeyId, KeyVersion, MeterKeys, NoKeys, Policy};
pub use reservation::{CounterKey, CounterLedger, Next, NoCounter, Reservation, UniqueCounter};
pub use ring::{AddMeterKeyError, MeterKeyring, MetersOfUtility, NewMeterKey, VersionState};
pub use summary::{MeterSummary, UtilityMeters};

pub(in crate::keyring) use ring::MeterKeyRow;
