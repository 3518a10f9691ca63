//! What is durable, and the only place that opens files for it.

pub mod fs;
pub mod log;
pub mod ndjson;
pub mod records;
pub mod secret;
pub mod state;
