//! The server put together: builds the components in order, holds them, and stops them in stages.

pub mod boot;
pub mod keeper;
