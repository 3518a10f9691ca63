//! From a verified frame to a step of the log, and back to an answer.
//!
//! [`intake::Intake`] stands between the listeners and the log. It opens frames, drives the machine
//! of each terminal, judges whether records are plausible, encodes steps, and takes them back when
//! they are durable. It holds no rule of the protocol: those are in [`crate::session`].

pub mod completions;
pub mod dating;
pub mod history;
pub mod intake;
pub mod live;
pub mod load;
pub mod mbus;
pub mod plausibility;
pub mod random;
pub mod search;
pub mod step;
pub mod witness;

pub use intake::{Intake, Parts};
