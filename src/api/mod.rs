//! The HTTP interface.

pub mod ops;
