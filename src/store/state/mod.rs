//! State: what the log adds up to.
//!
//! Everything in here can be thrown away and is built again from the log: the *hot table* in
//! memory, which sessions need, from the latest snapshot and the frames after it; and what people
//! ask for, in [`sqlite`].
//!
//! One function folds a frame into memory, whether it has just become durable or is read again
//! after a restart: [`State::fold`], with many at a time in [`replay`]. It is called in the order
//! of the log, and skips what an entry has seen, so that a snapshot may be taken while frames go on
//! coming.

pub mod counters;
pub mod directory;
pub mod fold;
pub mod formats;
pub mod gateways;
pub mod hot;
pub mod meters;
pub mod replay;
pub mod sequences;
pub mod snapshot;
pub mod sqlite;
pub mod table;

pub use directory::Directory;
pub use fold::{FoldError, State};
pub use formats::UtilityFormats;
pub use gateways::{Gateway, Gateways};
pub use hot::{HotEntry, MeterTrack};
pub use meters::MeterTable;
pub use table::{HotTable, Slot};
