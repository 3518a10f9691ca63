//! Typed wrappers on the ciphers: key types that wipe themselves and print nothing, tag sizes in
//! the type.
//!
//! This layer is pure: keys and nonces are passed in, and nothing is logged.
