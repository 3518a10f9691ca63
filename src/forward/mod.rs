//! Records on their way to whoever consumes them.
//!
//! A *sink* is whoever gets records: files, or a consumer that pulls them over HTTP. Each has two
//! cursors over the one log, for alarms and for everything else, and a thread of its own for each
//! lane that it is pushed, so that a slow or dead sink delays only itself, and readings never delay
//! an alarm. A cursor moves after the sink has made its data durable: delivery is at least once, in
//! order per terminal and lane, under ids that do not change.
//!
//! Cursors are events of the log. The lowest cursor that is durable is what the log has to keep.
//! Not in here: what records look like ([`crate::model::record`]), how files are written
//! ([`crate::store::ndjson`]), who may pull ([`crate::api::pull`]).

pub mod command;
pub mod forwarder;
pub mod lane;
pub mod ndjson;
pub mod sinks;
mod stop;

pub use forwarder::Forwarder;
pub use lane::{Delivery, DeliveryError, LaneBatch};
pub use sinks::{Attachment, Begin, Sink, SinkError, SinkStatus, Sinks, UNUSED};
