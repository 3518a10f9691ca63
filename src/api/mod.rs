//! The HTTP interface.

pub mod cursor;
pub mod ops;
pub mod problem;
pub mod pull;
pub mod serve;
pub mod token;
