//! Keys per utility and terminal, with versions, and the signer of commands.
//!
//! This layer opens no file, reads no clock and draws no random octets by itself: the text of a key
//! file, the time and a [`RandomSource`] are passed in.
//!
//! # Two rings that never meet
//!
//! [`LinkKeyring`] holds link masters and belongs to the server. [`CommandKeyring`] holds command
//! and key-encryption masters and belongs to a signer in another process, behind [`CommandSigner`].
//! They are different types with different sealed files; neither can give out keys of the other's
//! purpose, because masters and base keys carry their purpose in their type. Only [`keys_toml`],
//! which is for tests and for showing recorded frames, can yield both from one text.
// spec: KEY-10

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod command;
mod error;
mod hex;
mod ids;
pub mod keys_toml;
mod ledger;
mod link;
mod link_changes;
mod masters;
pub mod mbus;
mod purpose_keys;
mod random;
mod registration;
pub mod sealed;
mod signer;
#[cfg(test)]
mod tests;

pub use crate::crypto::key::Purpose;
pub use command::{CommandKeyring, INSTALL_PARAMETERS_LONG_OCTETS, InstallParameters, NewKey};
pub use error::{AddKeyError, InstallError, KeyError, ModeChangeError};
pub use ids::{KeyState, NoUtilityId, UtilityId};
pub use ledger::{
    Approval, ApproveRefusal, CancelOutcome, CancelRefusal, Ledger, LedgerSnapshot, SignRefusal,
    SignRequest, Transition, UplinkRef,
};
pub use link::{LinkKeyring, OpeningKey};
pub use masters::MasterVersion;
pub use random::{OsRandom, RandomFailed, RandomSource};
pub use registration::{Registration, VersionSet};
pub use signer::{
    CommandSigner, Journal, JournalFailed, LocalSigner, ResultCheck, ResultRefusal, SignerClock,
    VolatileJournal,
};
