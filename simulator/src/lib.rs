//! The terminal's side of the links that Kenshin serves.
//!
//! This is a second implementation, written from `protocol-spec/` and sharing no line with the
//! server, so that a misreading on one side shows as a disagreement. It never names the server's
//! package.
//!
//! The machine opens no socket, reads no clock and never sleeps. The caller hands in datagrams,
//! milliseconds of a monotonic timer and randomness; the machine hands out datagrams and the time
//! at which it wants to be polled again. [`terminal::Terminal`] is the entry point.
//!
//! Around the machine stand [`fleet`], many terminals over real sockets, and [`custody`], which
//! compares what they were told is safe with what a server passed on. [`mbus`] has meters of
//! another protocol, and the gateways that hear them. [`json`] is the form in which
//! both it and the tests compare values.

pub mod call_now;
pub mod clock;
pub mod codec;
pub mod command;
pub mod crypto;
pub mod custody;
pub mod fleet;
pub mod household;
pub mod json;
pub mod keys;
pub mod marks;
pub mod mbus;
pub mod meter;
pub mod nvm;
pub mod random;
pub mod rotation;
pub mod store;
pub mod terminal;
