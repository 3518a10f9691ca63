//! The MACs of commands and of results.

use super::super::cmac::{CMAC_OCTETS, CmacKey};
use super::super::verify::MacMismatch;

const DOMAIN_COMMAND: &[u8; 8] = b"OTL1 cmd";
const DOMAIN_RESULT: &[u8; 8] = b"OTL1 res";

/// Octets of a command before its parameters.
pub const COMMAND_HEAD_OCTETS: usize = 12;

/// The MAC of a command, 16 octets. No secret, but it must not be logged, ERR-5.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct CommandMac(pub [u8; CMAC_OCTETS]);

impl std::fmt::Debug for CommandMac {
    // spec: ERR-5
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommandMac([redacted])")
    }
}

/// The fields of a command before its parameters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommandHead {
    /// Version of the command key, 1 to 255.
    pub key_version: u8,
    /// Command sequence, from 1.
    pub sequence: u32,
    /// Kind, as registered in `commands.toml`.
    pub kind: u8,
    /// The meter: slot in bits 7-4, generation in bits 3-0; 0 for kinds without a meter.
    pub meter: u8,
    /// Precondition, 0 to 127. A higher bit is cut off.
    pub precondition: u8,
    /// Last UTC second at which the terminal may accept it; 0xFFFF_FFFF: no limit.
    pub not_after_utc_s: u32,
}

impl CommandHead {
    /// Octets 0 to 11 of the item's body; `bound` is the bit BOUND.
    #[must_use]
    pub fn to_octets(&self, bound: bool) -> [u8; COMMAND_HEAD_OCTETS] {
        let [s0, s1, s2, s3] = self.sequence.to_be_bytes();
        let [n0, n1, n2, n3] = self.not_after_utc_s.to_be_bytes();
        let condition = u8::from(bound) << 7 | (self.precondition & 0x7F);
        let meter = self.meter;
        [
            self.key_version,
            s0,
            s1,
            s2,
            s3,
            self.kind,
            meter,
            condition,
            n0,
            n1,
            n2,
            n3,
        ]
    }
}

/// The uplink to whose answer a command is bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnsweredUplink<'a> {
    /// The server nonce of that answer.
    pub server_nonce: [u8; 8],
    /// The uplink's whole header.
    pub header: &'a [u8],
    /// The uplink's tag.
    pub tag: &'a [u8],
}

/// Everything that a command's MAC covers.
#[derive(Clone, Copy, Debug)]
pub struct CommandInput<'a> {
    /// The terminal.
    pub identity: [u8; 8],
    /// The fields before the parameters.
    pub head: CommandHead,
    /// The parameters of the kind.
    pub parameters: &'a [u8],
    /// Where it is bound; the bit BOUND is set exactly if there is one.
    pub bound_to: Option<AnsweredUplink<'a>>,
}

/// A command has more than 65,535 octets of parameters; no registered kind has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a command has more than 65,535 octets of parameters")]
pub struct ParametersTooLong;

/// MACs commands to one terminal.
#[derive(Debug)]
pub struct CommandKey(pub(super) CmacKey);

impl CommandKey {
    /// The MAC of a command.
    ///
    /// # Errors
    ///
    /// [`ParametersTooLong`] above 65,535 octets.
    // spec: CMD-1
    pub fn mac(&self, input: &CommandInput<'_>) -> Result<CommandMac, ParametersTooLong> {
        let head = input.head.to_octets(input.bound_to.is_some());
        let length = u16::try_from(input.parameters.len()).map_err(|_| ParametersTooLong)?;
        let (server_nonce, header, tag): (&[u8], &[u8], &[u8]) = match &input.bound_to {
            Some(uplink) => (&uplink.server_nonce, uplink.header, uplink.tag),
            None => (&[], &[], &[]),
        };
        Ok(CommandMac(self.0.mac(&[
            DOMAIN_COMMAND,
            &input.identity,
            &head,
            &length.to_be_bytes(),
            input.parameters,
            server_nonce,
            header,
            tag,
        ])))
    }

    /// Verifies the MAC of a command in constant time: the terminal's side, and that of tools.
    ///
    /// # Errors
    ///
    /// [`MacMismatch`] if it is not the MAC of that input.
    // spec: CMD-1
    pub fn verify(&self, input: &CommandInput<'_>, mac: &CommandMac) -> Result<(), MacMismatch> {
        let computed = self.mac(input).map_err(|_| MacMismatch)?;
        super::super::verify::verify_equal(&computed.0, &mac.0)
    }
}

/// Everything that the MAC of a result or valve state record covers.
#[derive(Clone, Copy, Debug)]
pub struct ResultInput<'a> {
    /// The terminal.
    pub identity: [u8; 8],
    /// The store epoch of its report.
    pub store_epoch: u32,
    /// The record's sequence.
    pub record_sequence: u32,
    /// The record's type octet.
    pub record_type: u8,
    /// The record's body after its sequence and before the MAC.
    pub body: &'a [u8],
}

impl ResultInput<'_> {
    fn with_parts<T>(&self, use_parts: impl FnOnce(&[&[u8]]) -> T) -> T {
        use_parts(&[
            DOMAIN_RESULT,
            &self.identity,
            &self.store_epoch.to_be_bytes(),
            &self.record_sequence.to_be_bytes(),
            &[self.record_type],
            self.body,
        ])
    }
}

/// MACs results and valve states of one terminal.
#[derive(Debug)]
pub struct ResultKey(pub(super) CmacKey);

impl ResultKey {
    /// The MAC of a record: the terminal's side.
    // spec: CMD-14
    #[must_use]
    pub fn mac(&self, input: &ResultInput<'_>) -> [u8; CMAC_OCTETS] {
        input.with_parts(|parts| self.0.mac(parts))
    }

    /// Verifies the MAC of a record in constant time.
    ///
    /// # Errors
    ///
    /// [`MacMismatch`] if it is not the MAC of that input.
    // spec: CMD-14
    pub fn verify(
        &self,
        input: &ResultInput<'_>,
        mac: &[u8; CMAC_OCTETS],
    ) -> Result<(), MacMismatch> {
        input.with_parts(|parts| self.0.verify(parts, mac))
    }
}
