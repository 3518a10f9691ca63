//! The sockets of M-Bus gateways: lines over TCP and TLS, datagrams over UDP.
//!
//! What telegrams mean, and which gateways there are, is not decided here: a
//! [`contract::TelegramHandler`] is asked. What a connection may hold and how long it may take is.
//!
//! # A connection
//!
//! A gateway sends lines (see [`crate::wire::mbus::lines`]) and gets one line for each, in order.
//! Lines count from 1; empty ones do not count, and keep a connection alive.
//!
//! ```text
//! OK 7              it is durable
//! OK 8 duplicate    it was durable, or a copy of it that came at the same time is now
//! PART 9            it is a fragment: nothing is durable before the message is whole
//! ERR 10 no_key …   it is refused, by the name of a reason; the line stays with the gateway
//! BUSY 11           there is no room now; the line stays with the gateway
//! ERR 0 …           the connection ends, and no line is at fault
//! ```
//!
//! A gateway that is known by its address or its certificate begins at once. Any other begins with
//! `TOKEN` and its token, of at most 128 octets, which is answered `OK 0`. Some lines may be sent
//! before the first is answered; then nothing is read until there are answers.
//!
//! # A datagram
//!
//! It holds one telegram as it is, or lines, the first of which may name a token. Nothing is
//! answered: nobody may take a telegram that was sent so as delivered.

mod answers;
mod connection;
pub mod contract;
pub mod counters;
mod framer;
mod gate;
mod listeners;
mod places;
pub mod tls;
mod udp;

pub use listeners::{MbusBindError, MbusBound, MbusListeners, MbusLocalAddrs, MbusNetOptions};
