//! The server put together: builds the components in order, holds them, and stops them in stages.

pub mod boot;
mod closing;
pub mod descriptors;
mod desk;
pub mod direct;
pub mod folder;
pub mod followers;
pub mod gateways;
mod health;
mod house;
pub mod keeper;
mod options;
mod pace;
mod replay;
pub mod retention;
pub mod server;
mod snapshots;
pub mod start;
pub mod witness;

pub use direct::Direct;
pub use server::{Addresses, Server};
pub use start::StartError;
