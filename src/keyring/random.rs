//! Where random octets come from.

use std::fmt;

/// No random octets could be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the source of random octets failed")]
pub struct RandomFailed;

/// A source of random octets that are fit for keys and nonces.
pub trait RandomSource: fmt::Debug + Send {
    /// Fills the buffer.
    ///
    /// # Errors
    ///
    /// [`RandomFailed`]; what the buffer then holds must not be used.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomFailed>;
}

/// The source of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(buffer).map_err(|_| RandomFailed)
    }
}
