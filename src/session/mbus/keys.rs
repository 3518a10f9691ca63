//! How keys are asked for: the key ring's own words, under the name that sessions use.

pub use crate::keyring::mbus::{KeyId, KeyVersion, MeterKeys, NoKeys, Policy};
