//! The server put together: builds the components in order, holds them, and stops them in stages.

pub mod boot;
pub mod descriptors;
pub mod direct;
pub mod folder;
pub mod followers;
pub mod keeper;
mod replay;
pub mod retention;
pub mod server;
mod snapshots;
pub mod witness;

pub use direct::Direct;
pub use server::{Addresses, Server, StartError};
