//! The Open Telemeter Link, version 1: frames, reports, records, answers and commands.
//!
//! The specification is `protocol-spec/otl`. This module knows the layout of every octet and the
//! ranges of every field. It knows no keys: what lies between header and tag is handed over as
//! ciphertext, and comes back as plaintext after somebody else has verified it.
//!
//! # The way in
//!
//! 1. [`framer`] cuts frames out of a TCP stream; a datagram is one frame already.
//! 2. [`header::Header::parse`] checks all that can be checked before authentication.
//! 3. [`frame::Frame::split`] cuts a frame by the mode that is *pinned*, never by the header's.
//! 4. After the tag verified, [`uplink::UplinkBody`], [`resync::ResyncBody`], [`answer::Answer`] or
//!    [`resync::ResyncAnswer`] decodes the plaintext.
//!
//! The way out is the same in reverse; [`padding`] says how long an uplink has to be.
//!
//! # One encoding
//!
//! Each value has one encoding and no other is accepted: for every octet string that a decoder
//! takes, the encoder gives the same octets back. Values of these types are always valid; encoding
//! one fails only for lack of room, or because it may not be sent in the mode at hand.
//!
//! For eyes instead of programs, [`annotate`] names each octet of a frame, also of a damaged one,
//! and [`json`] gives the decoded values the form of `protocol-spec/decode-json.md`.

pub mod annotate;
pub mod answer;
mod coded;
pub mod command;
pub mod frame;
pub mod framer;
pub mod gauges;
pub mod header;
pub mod health;
pub mod ident;
mod item;
pub mod json;
pub mod limits;
pub mod meter;
pub mod padding;
pub mod record;
pub mod registry;
pub mod report;
pub mod resync;
pub mod series;
pub mod stamp;
mod steps;
pub mod text;
pub mod uplink;

#[cfg(test)]
mod tests;
