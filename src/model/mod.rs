//! The vocabulary of the server, whatever protocol a record came in: names, positions, and the
//! durable forms of what happened.
//!
//! Pure: no IO, no clock, no keys.

pub mod event;
pub(crate) mod flat;
pub mod gateway;
pub mod ids;
pub mod record;
pub mod step;
pub mod telegram;
pub mod telegram_record;

pub use event::Event;
pub use gateway::{Cidr, Fingerprint};
pub use ids::{Lane, Lanes, Lsn, TerminalId};
pub use record::{OutwardRecord, Zone, records_of};
pub use step::{RecordFlags, SessionStep, StepEntry, StepFlags};
pub use telegram::Telegram;
