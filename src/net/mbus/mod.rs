//! The sockets of M-Bus gateways: lines over TCP and TLS, datagrams over UDP.
//!
//! What telegrams mean, and which gateways there are, is not decided here: a
//! [`contract::TelegramHandler`] is asked. What a connection may hold and how long it may take is.
//!
//! What they take and answer is `protocol-spec/gateways.md`; the forms of lines are read by
//! [`crate::wire::mbus::lines`].

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
