//! EN 13757 M-Bus and OMS: telegrams of wired and wireless meters to exact values.
//!
//! The facts are those of EN 13757-2 (wired link), -3 (application), -4 (wireless link) and -7
//! (transport and security), as OMS Volume 2 issue 5.0.1 repeats them. This module knows the place
//! of every octet and the meaning of every code. It knows no keys: ciphertext is handed over as it
//! came, and comes back as plaintext after somebody else has verified it (`session::mbus`).
//!
//! # The way in
//!
//! 1. [`link`] takes a telegram of any carriage (wired long frame, wireless format A, B or without
//!    checks, or a payload that begins with its CI field) and gives what follows the link layer.
//! 2. [`ci`] says what a CI field announces; [`ell`] and [`afl`] read the layers between link and
//!    transport, and [`tpl`] the transport header with its security mode.
//! 3. [`app`] walks the records of the plaintext without a copy, and makes exact values of them.
//!
//! # One bad record
//!
//! A record that cannot be understood is an error at its offset, and the walk goes on behind it:
//! the data field alone gives the size. Only a record whose length cannot be known ends the walk.

pub mod address;
pub mod afl;
pub mod annotate;
pub mod app;
pub mod ci;
pub mod crc;
pub mod ell;
pub mod error;
pub mod lines;
pub mod link;
pub mod tpl;
