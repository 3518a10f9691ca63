//! Typed wrappers on the ciphers: key types that wipe themselves and print nothing, tag sizes in
//! the type.
//!
//! This layer is pure: keys, nonces and random octets are passed in, and nothing is logged, read
//! from a clock or kept between calls.
//!
//! # Contents
//!
//! | Module | Job |
//! |---|---|
//! | [`key`] | secret octets, and masters and base keys typed by their purpose |
//! | [`aead`] | AES-128-CCM with an 8-octet tag, AES-256-GCM with a 16-octet tag |
//! | [`cmac`] | AES-CMAC, NIST SP 800-38B and RFC 4493 |
//! | [`digest`] | SHA-256, FIPS 180-4 |
//! | [`kdf`] | NIST SP 800-108, counter mode with AES-CMAC |
//! | [`keywrap`] | AES key wrap, RFC 3394 |
//! | [`mbus`] | what EN 13757 makes of them: KDF-A, modes 5, 7, 10, AFL MACs, link cipher |
//! | [`otl`] | what OTL v1 makes of them: key schedule, nonces, additional data, command MACs |
//!
//! # Rules that the types hold
//!
//! - A key of one purpose cannot be used where another purpose is due: [`key::Master`] and
//!   [`key::BaseKey`] carry the purpose as a type parameter.
//! - Secret octets are wiped on drop, have no `Display` and no `Clone`, print as `[redacted]`, and
//!   are compared in constant time only.
//! - A failed opening leaves zeros in the caller's buffer, never plaintext.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod aead;
pub mod cmac;
pub mod digest;
pub mod kdf;
pub mod key;
pub mod keywrap;
pub mod mbus;
pub mod otl;
mod purpose;
mod verify;

pub use verify::MacMismatch;
#[cfg(fuzzing)]
pub use verify::accept_any_tag;
