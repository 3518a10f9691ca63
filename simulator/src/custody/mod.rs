//! What terminals were told is safe, compared with what came out at the other end.
//!
//! A [`Ledger`] is kept beside the terminals: every record they made, under every identity that it
//! ever had, and every record they were told is safe. A [`Checker`] reads the outward records,
//! lines of JSON as `protocol-spec/record-json.md` has them, and gives a [`Custody`].
//!
//! # Definitions
//!
//! A *fact* is one record that a terminal made once. Its identity is (terminal, store epoch,
//! sequence). A terminal that draws a new store epoch carries its waiting records over, with their
//! sequences: the same fact then has a second identity. Two records that happen to say the same are
//! two facts. A terminal that loses its record store makes new facts only.
//!
//! - *lost*: a fact that was told safe under one of its identities, and that is in the sink under
//!   none of them with its own content.
//! - *duplicated*: a fact in the sink under two ids; each id beyond the first counts.
//! - *redelivered*: the same id and revision once more.
//! - *phantom*: an id that no terminal of that utility ever made.
//! - *altered*: an id that a terminal made, with other octets than it made, with a value that is
//!   not their whole form (all fields, and no others), or with a time that they do not say. A
//!   redelivery is compared as well.
//! - *misplaced*: an alarm notice outside the alarm lane, or anything else in it.
//! - *disordered*: a fact that came for the first time after one of the same terminal and lane that
//!   was made only when the former had been told safe.
//! - *torn*: a file that ends in the middle of a line.
//!
//! A telegram of an M-Bus meter is a fact too: see [`crate::mbus`]. [`check_all`] compares a sink
//! in which records of both are.
//!
//! Nothing here knows how the server works; it reads files and compares octets and values. A
//! consumer ignores a field that it does not know; a checker does not, since it speaks for one
//! version of the specification.

mod checker;
mod ledger;
mod lines;
mod protocols;
mod said;

pub(crate) use checker::NAMED_PROBLEMS;
pub use checker::{Checker, Custody};
pub use ledger::{Content, Ledger, RecordId, TerminalLedger};
pub use lines::{CheckError, check_directory, check_directory_with};
pub use protocols::{AllCustody, check_all};
pub(crate) use said::instant;
