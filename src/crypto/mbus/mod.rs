//! What EN 13757 makes of AES-128: KDF-A, the CBC of modes 5 and 7, the CCM of mode 10, the MAC of
//! the authentication and fragmentation layer, and the CTR of the extended link layer.
//!
//! Functions on octet slices, without allocation. Which slices these are, the wire layer says;
//! which key, the session layer. Addresses, counters and identifications are given in the order in
//! which they came on air.
//!
//! | Layer or mode | Opening | Sealing | What it proves |
//! |---|---|---|---|
//! | mode 5 | [`open_cbc_mode5`] | [`seal_cbc_mode5`] | the right key |
//! | AFL | [`AflKey::verify`] | [`AflKey::mac`] | origin and content |
//! | mode 7 | [`open_cbc_mode7`] | [`seal_cbc_mode7`] | the right key, the AFL the rest |
//! | mode 10 | [`open_ccm`] | [`seal_ccm`] | origin and content |
//! | link cipher | [`ell_ctr`] | [`ell_ctr`] | with [`ell_check`] the right key |

mod blocks;
mod cbc;
mod ccm;
mod ell;
mod kdf;
mod mac;
#[cfg(test)]
mod tests;

pub use cbc::{
    CHECK_OCTETS, CbcError, LengthError, open_cbc_mode5, open_cbc_mode7, seal_cbc_mode5,
    seal_cbc_mode7,
};
pub use ccm::{CcmTag, TAG_OCTETS, open_ccm, seal_ccm};
pub use ell::{ell_check, ell_ctr};
pub use kdf::{Derivation, KdfKey, kdf_a};
pub use mac::{AflKey, AflMacError, afl_mac, verify_afl_mac};
