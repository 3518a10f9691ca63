//! The server put together: builds the components in order, holds them, and stops them in stages.

pub mod boot;
pub mod followers;
pub mod keeper;
pub mod server;
mod snapshots;
pub mod witness;

pub use server::{Addresses, Server, StartError};
