//! Bytes to types and back, one folder a protocol.
//!
//! This layer is pure: it does no IO, reads no clock, holds no keys and writes no log.
//!
//! # No panic
//!
//! Every input comes from a radio network that anyone may write to. No function of this module
//! panics, loops without bound or allocates more than a constant times its input, whatever the
//! bytes. Damage is an error that names the offset and the kind of damage. Indexing, unchecked
//! arithmetic and narrowing casts are therefore linted against, every truncation of every message
//! is tested to be an error, and each decoder has a fuzz target.
//!
//! # Views and values
//!
//! Each message has two levels:
//!
//! - a *view* borrows the bytes and can show any of them to an operator, valid or not, without
//!   loss;
//! - a *value* can only hold what is valid. Decoding is the one way from a view to a value, and
//!   encoding a value cannot fail for a reason other than lack of room.
//!
//! Parsers are complete parsers: they run on a frame that a bounded framer has cut out already,
//! and never ask for more input.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub(crate) mod bits;
pub mod error;
pub mod hex;
pub mod mbus;
pub mod otl;
pub(crate) mod span;
pub(crate) mod varint;
pub mod view;
pub mod writer;

#[cfg(test)]
mod tests;
