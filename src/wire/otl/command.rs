//! The COMMAND item of an answer.
//!
//! Kind, precondition and parameters are kept as they came: a terminal has to verify the MAC of a
//! command that it cannot execute, and to say why it refuses it. [`Parameters`] gives the
//! parameters of the registered kinds a type.

use core::fmt;
use core::num::NonZeroU32;

use nom::number::complete::{be_u8, be_u32};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::span::{Parsed, Span, field, octets, ranged};
use crate::wire::writer::Writer;

use super::ident::KeyVersion;
use super::limits::MAC_LEN;
use super::meter::{Meter, meter};
use super::record::Mac;
use super::record::result::mac;
use super::registry::commands::{CommandKind, Precondition};

const BOUND: u8 = 0x80;

/// The `not_after` of a command without limit; for harmless kinds only.
pub const NO_LIMIT: u32 = 0xFFFF_FFFF;

/// A command as it stands in an answer, with its MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandItem {
    /// The version of the command key.
    pub key_version: KeyVersion,
    /// The command sequence: one approval has one.
    pub sequence: NonZeroU32,
    /// What it asks for.
    pub kind: CommandKind,
    /// Which meter; octet 0 for kinds without one.
    pub meter: Meter,
    /// Whether it is bound to the one uplink that its answer answers.
    pub bound: bool,
    /// What has to hold right before it acts.
    pub precondition: Precondition,
    /// The last UTC second at which a terminal may accept it.
    pub not_after_utc_s: u32,
    /// The parameters of the kind, as they stand on the wire.
    pub parameters: Vec<u8>,
    /// The MAC.
    pub mac: Mac,
}

impl CommandItem {
    /// Writes octets 0 to 11.
    pub(crate) fn encode_head(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u8(self.key_version.get())?;
        out.u32(self.sequence.get())?;
        out.u8(self.kind.code())?;
        out.u8(self.meter.octet())?;
        let bound = if self.bound { BOUND } else { 0 };
        out.u8(bound | self.precondition.code())?;
        out.u32(self.not_after_utc_s)
    }

    /// Writes the body of the item.
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.encode_head(out)?;
        out.octets(&self.parameters)?;
        out.octets(&self.mac.0)
    }
}

/// BOUND and precondition, for a view.
#[derive(Clone, Copy)]
struct Conditions(bool, Precondition);

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.0 { "bound" } else { "unbound" };
        write!(f, "{bound}, precondition {}", self.1)
    }
}

/// Reads the body of a COMMAND item.
pub(crate) fn command(input: Span<'_>) -> Parsed<'_, CommandItem> {
    let (rest, key_version) = field("command key version", ranged(be_u8, KeyVersion::new))(input)?;
    let (rest, sequence) = field("command sequence", ranged(be_u32, NonZeroU32::new))(rest)?;
    let (rest, kind) = field(
        "kind",
        ranged(be_u8, |code| Some(CommandKind::from_code(code))),
    )(rest)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, Conditions(bound, precondition)) = field(
        "bound and precondition",
        ranged(be_u8, |octet: u8| {
            let precondition = Precondition::from_code(octet & !BOUND)?;
            Some(Conditions(octet & BOUND != 0, precondition))
        }),
    )(rest)?;
    let (rest, not_after_utc_s) = field("not after", be_u32)(rest)?;
    let len = rest.octets().len().saturating_sub(MAC_LEN);
    let (rest, parameters) = octets("parameters", len)(rest)?;
    let (rest, mac) = mac(rest)?;
    let item = CommandItem {
        key_version,
        sequence,
        kind,
        meter,
        bound,
        precondition,
        not_after_utc_s,
        parameters: parameters.to_vec(),
        mac,
    };
    Ok((rest, item))
}

/// The parameters of a registered kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Close the valve; the reason is 1 order of the utility, 2 emergency, 3 disaster area,
    /// 4 vacancy, 5 test.
    ValveClose {
        /// The reason, 1 to 5.
        reason: u8,
    },
    /// Permit reopening for so many minutes, 1 to 1,440.
    ValvePermitReopen {
        /// The validity in minutes.
        minutes: u16,
    },
    /// Open the valve.
    ValveOpen,
    /// Install a key that is wrapped as in RFC 3394.
    KeyInstall {
        /// The purpose: 1 link, 2 command, 3 key encryption.
        purpose: u8,
        /// The version of the new key.
        key_version: KeyVersion,
        /// The version of the key-encryption key.
        kek_version: KeyVersion,
        /// The wrapped key, 24 or 40 octets.
        wrapped: Vec<u8>,
    },
    /// Change the security mode to 1, 2 or 3.
    ModeChange {
        /// The new mode, 1 to 3.
        mode: u8,
    },
    /// Read the register.
    ReadRegister,
    /// Read the valve state.
    ReadValveState,
    /// Send `count` records from `first` on again.
    ResendRecords {
        /// The store epoch of the records.
        epoch: u32,
        /// The first record sequence.
        first: u32,
        /// How many.
        count: u16,
    },
    /// Send the meter tables and the terminal info.
    SendMeterTable,
    /// Make one more uplink.
    TestCall,
    /// Set the thresholds of residual gas, levels 1 to 3, in litres below 2^24; 0 is off.
    SetResidualLevels {
        /// The thresholds in litres.
        litres: [u32; 3],
    },
}

impl Parameters {
    /// The kind that has these parameters.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::ValveClose { .. } => CommandKind::VALVE_CLOSE,
            Self::ValvePermitReopen { .. } => CommandKind::VALVE_PERMIT_REOPEN,
            Self::ValveOpen => CommandKind::VALVE_OPEN,
            Self::KeyInstall { .. } => CommandKind::KEY_INSTALL,
            Self::ModeChange { .. } => CommandKind::MODE_CHANGE,
            Self::ReadRegister => CommandKind::READ_REGISTER,
            Self::ReadValveState => CommandKind::READ_VALVE_STATE,
            Self::ResendRecords { .. } => CommandKind::RESEND_RECORDS,
            Self::SendMeterTable => CommandKind::SEND_METER_TABLE,
            Self::TestCall => CommandKind::TEST_CALL,
            Self::SetResidualLevels { .. } => CommandKind::SET_RESIDUAL_LEVELS,
        }
    }

    /// The parameters on the wire.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for a value that the kind does not permit.
    pub fn encode(&self) -> Result<Vec<u8>, OutOfRange> {
        let check = |good: bool, name| if good { Ok(()) } else { Err(OutOfRange(name)) };
        Ok(match self {
            Self::ValveClose { reason } => {
                check(matches!(reason, 1..=5), "reason, 1 to 5")?;
                vec![*reason]
            }
            Self::ValvePermitReopen { minutes } => {
                check(matches!(minutes, 1..=1_440), "minutes, 1 to 1,440")?;
                minutes.to_be_bytes().to_vec()
            }
            Self::KeyInstall {
                purpose,
                key_version,
                kek_version,
                wrapped,
            } => {
                check(matches!(purpose, 1..=3), "purpose, 1 to 3")?;
                check(
                    matches!(wrapped.len(), 24 | 40),
                    "wrapped key, 24 or 40 octets",
                )?;
                let head = [*purpose, key_version.get(), kek_version.get()];
                [head.as_slice(), wrapped].concat()
            }
            Self::ModeChange { mode } => {
                check(matches!(mode, 1..=3), "mode, 1 to 3")?;
                vec![*mode]
            }
            Self::ResendRecords {
                epoch,
                first,
                count,
            } => [
                epoch.to_be_bytes().as_slice(),
                &first.to_be_bytes(),
                &count.to_be_bytes(),
            ]
            .concat(),
            Self::SetResidualLevels { litres } => {
                let mut octets = Vec::with_capacity(9);
                for threshold in litres {
                    let [top, rest @ ..] = threshold.to_be_bytes();
                    check(top == 0, "threshold, below 2^24 litres")?;
                    octets.extend_from_slice(&rest);
                }
                octets
            }
            Self::ValveOpen
            | Self::ReadRegister
            | Self::ReadValveState
            | Self::SendMeterTable
            | Self::TestCall => Vec::new(),
        })
    }

    /// The parameters of a kind; none if the kind is not registered or does not have them so,
    /// which a terminal answers with outcome 5 or 7.
    #[must_use]
    pub fn decode(kind: CommandKind, octets: &[u8]) -> Option<Self> {
        let decoded = match (kind, octets) {
            (CommandKind::VALVE_CLOSE, [reason]) => Self::ValveClose { reason: *reason },
            (CommandKind::VALVE_PERMIT_REOPEN, [high, low]) => Self::ValvePermitReopen {
                minutes: u16::from_be_bytes([*high, *low]),
            },
            (CommandKind::VALVE_OPEN, []) => Self::ValveOpen,
            (CommandKind::KEY_INSTALL, [purpose, version, kek, wrapped @ ..]) => Self::KeyInstall {
                purpose: *purpose,
                key_version: KeyVersion::new(*version)?,
                kek_version: KeyVersion::new(*kek)?,
                wrapped: wrapped.to_vec(),
            },
            (CommandKind::MODE_CHANGE, [mode]) => Self::ModeChange { mode: *mode },
            (CommandKind::READ_REGISTER, []) => Self::ReadRegister,
            (CommandKind::READ_VALVE_STATE, []) => Self::ReadValveState,
            (CommandKind::RESEND_RECORDS, [e0, e1, e2, e3, f0, f1, f2, f3, c0, c1]) => {
                Self::ResendRecords {
                    epoch: u32::from_be_bytes([*e0, *e1, *e2, *e3]),
                    first: u32::from_be_bytes([*f0, *f1, *f2, *f3]),
                    count: u16::from_be_bytes([*c0, *c1]),
                }
            }
            (CommandKind::SEND_METER_TABLE, []) => Self::SendMeterTable,
            (CommandKind::TEST_CALL, []) => Self::TestCall,
            (CommandKind::SET_RESIDUAL_LEVELS, [a0, a1, a2, b0, b1, b2, c0, c1, c2]) => {
                let litres =
                    |high: &u8, mid: &u8, low: &u8| u32::from_be_bytes([0, *high, *mid, *low]);
                Self::SetResidualLevels {
                    litres: [litres(a0, a1, a2), litres(b0, b1, b2), litres(c0, c1, c2)],
                }
            }
            _ => return None,
        };
        // The ranges stand in one place, with the encoder.
        decoded.encode().is_ok().then_some(decoded)
    }
}
