//! M-Bus: from a telegram of any carriage to verified plaintext, and from a command to a telegram.
//!
//! M-Bus has no conversation that a head-end behind a gateway could hold (the meter listens for
//! milliseconds), so there is no machine here, but one order of work that cannot be left:
//!
//! ```text
//! link check -> extended link layer -> fragments -> transport header -> choice of key
//!            -> derivation -> MAC or tag -> decryption -> check octets -> Opened
//! ```
//!
//! [`Opened`] is the only way to plaintext, and cannot be had from a telegram whose MAC, tag or
//! check octets fail. Whether it is new is asked afterwards of the meter's window, which so never
//! moves for what did not verify.

mod doubt;
pub mod downlink;
mod evidence;
pub mod fragments;
pub mod keys;
mod layers;
pub mod open;
pub mod opened;
pub mod outgoing;
pub mod refusal;
pub mod replay;
mod secured;

pub use downlink::{Downlink, DownlinkError, Profile, Unverified};
pub use fragments::{FragmentStore, Fragments};
pub use keys::{KeyId, KeyVersion, MeterKeys, Policy};
pub use open::{Scratch, Step, is_transport_first, open};
pub use opened::{KeyName, Opened, Security, Verified};
pub use outgoing::AccessNumbers;
pub use refusal::Refusal;
pub use replay::{ReplayWindow, Verdict};

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
