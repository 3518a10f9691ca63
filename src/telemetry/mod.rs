//! What the server tells about itself: metrics, and lines on standard error.
//!
//! [`Metrics`] is made once, with every series it will ever have, so that a dashboard shows zero
//! and not nothing, and so that no peer can make a series. Labels hold transports, reasons, lanes
//! and the names of sinks, never a terminal: a fleet of millions would be millions of series.
//!
//! [`events`] has one function for each thing that happens; it writes the line and counts, so that
//! the two never disagree. What happens for each frame is counted only, by [`Metrics`] itself.

pub mod events;
mod followers;
mod histogram;
mod levels;
mod logs;
mod mbus;
mod metrics;
mod net;
mod refused_meters;
#[cfg(test)]
mod tests;
mod unreadable_files;

pub use levels::{DiskLevel, FollowerLevels, Levels};
pub use logs::{InitLogsError, chain, init_logs};
pub use metrics::Metrics;
pub use refused_meters::RefusedMeters;
pub use unreadable_files::UnreadableFiles;
