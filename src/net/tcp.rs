//! TCP: a task for each connection, which holds no buffer while nothing arrives.
//!
//! Octets are read into a buffer on the stack of the runtime's thread and judged before the task
//! waits again, so that the pool of read buffers is the stacks of those threads. Answers are
//! written by whoever has them; only what the kernel does not take is kept. Timeouts are one
//! number a connection that the completer looks at a few times a second, not a timer each.

mod accept;
mod completer;
mod connection;
mod reader;
mod task;
mod unverified;

pub(super) use accept::{AcceptOptions, accept};
pub(super) use completer::complete;
pub(super) use connection::Connections;
pub use reader::StreamLimits;
