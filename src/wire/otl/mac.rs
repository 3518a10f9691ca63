//! The octets that the MACs of commands and results are made over.
//!
//! Only layout: the keys and AES-CMAC belong to others.

use core::num::NonZeroU32;

use crate::wire::error::EncodeError;
use crate::wire::writer::Writer;

use super::command::CommandItem;
use super::ident::{Identity, Ns};
use super::limits::{FRAME_MAX, HEADER_MAX, TAG_MAX};

/// The first octets of what a command MAC is made over.
pub const COMMAND_DOMAIN: &[u8; 8] = b"OTL1 cmd";

/// The first octets of what a result MAC is made over.
pub const RESULT_DOMAIN: &[u8; 8] = b"OTL1 res";

/// The most octets that a MAC is made over: those of the longest item and what binds it.
const INPUT_MAX: usize = FRAME_MAX + 8 + 8 + 2 + 8 + HEADER_MAX + TAG_MAX;

/// What binds a command to one uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The nonce of the answer that carries the command.
    pub ns: Ns,
    /// The header of the uplink that the answer answers.
    pub uplink_header: &'a [u8],
    /// The tag of that uplink.
    pub uplink_tag: &'a [u8],
}

/// What the MAC of a command is made over, at most 1,273 octets.
///
/// None if a bound command comes without binding, an unbound one with it, or the parts are longer
/// than any that the link has.
// spec: CMD-1
#[must_use]
pub fn command_mac_input(
    identity: Identity,
    item: &CommandItem,
    binding: Option<Binding<'_>>,
) -> Option<Vec<u8>> {
    if item.bound != binding.is_some() {
        return None;
    }
    let mut input = item.mac_input_prefix(identity).ok()?;
    if let Some(binding) = binding {
        let room = INPUT_MAX.saturating_sub(input.len());
        let mut out = Writer::new(&mut input, room);
        out.octets(&binding.ns.octets()).ok()?;
        out.octets(binding.uplink_header).ok()?;
        out.octets(binding.uplink_tag).ok()?;
    }
    Some(input)
}

impl CommandItem {
    /// The part of the MAC input that no uplink changes: domain, identity, octets 0 to 11 of the
    /// item, length of the parameters, parameters.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] for parameters longer than any frame.
    // spec: CMD-1
    pub fn mac_input_prefix(&self, identity: Identity) -> Result<Vec<u8>, EncodeError> {
        let mut input = Vec::with_capacity(64);
        let mut out = Writer::new(&mut input, INPUT_MAX);
        out.octets(COMMAND_DOMAIN)?;
        out.octets(&identity.octets())?;
        self.encode_head(&mut out)?;
        let len = u16::try_from(self.parameters.len()).map_err(|_| EncodeError::NoRoom)?;
        out.u16(len)?;
        out.octets(&self.parameters)?;
        Ok(input)
    }
}

/// What the MAC of a result or valve state is made over: domain, identity, epoch, record
/// sequence, record type, and the body after its sequence and before the MAC.
// spec: CMD-14
#[must_use]
pub fn result_mac_input(
    identity: Identity,
    epoch: NonZeroU32,
    sequence: NonZeroU32,
    record_type: u8,
    body_without_mac: &[u8],
) -> Vec<u8> {
    [
        RESULT_DOMAIN.as_slice(),
        &identity.octets(),
        &epoch.get().to_be_bytes(),
        &sequence.get().to_be_bytes(),
        &[record_type],
        body_without_mac,
    ]
    .concat()
}
