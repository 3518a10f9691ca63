//! M-Bus meters and the gateways that hear them.

pub mod address;
mod cipher;
pub mod date;
mod link;
pub mod telegram;
