//! Terminal sockets: the only place that has them.
//!
//! What frames mean is not decided here: a [`contract::FrameHandler`] is handed octets and a path,
//! and hands octets back.

pub mod contract;
