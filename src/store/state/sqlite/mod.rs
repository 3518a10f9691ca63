//! The folded database: latest values, meters, valves, alarms and quarantine, in SQLite, for
//! queries of people and programs.
//!
//! `kenshin.sqlite` in the folder of state follows the log: the position up to which it was read is
//! in the same transaction as what was folded. A lost or broken file is built again. What happened
//! over time is not in it: that is in the log, by its indexes.
//!
//! Facts are joined by rules that do not care for the order in which they come ([`rows`]). Only
//! what is registered goes by the order of the log, which is the order in which it was decided.

pub mod follow;
pub mod pass;
pub mod rows;
mod schema;
mod table;
pub mod view;
pub mod writer;

pub use follow::{Follower, Sources};
pub use view::{View, ViewError};
pub use writer::{Rebuilt, Writer, WriterError};
