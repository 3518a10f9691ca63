//! Operators at a running server: one Unix socket, one JSON object a line in each direction.
//!
//! [`Ask`] is what can be asked, [`Desk`] answers it, whether through the socket or in the process
//! that has the data folder to itself. [`server`] takes connections, [`client`] makes them; the
//! form of the lines is in [`protocol`].

pub mod client;
mod desk;
pub mod protocol;
pub mod query;
pub mod server;

pub use client::{CallError, Client};
pub use desk::{Caller, Desk};
pub use protocol::{Answer, Ask, Trouble};
pub use server::{AdminServer, ListenError, Socket};
