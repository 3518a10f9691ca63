//! Records that may carry a MAC under the command key: valve states and command results.

use core::fmt;

use nom::number::complete::{be_u8, be_u32};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::hex::Hex;
use crate::wire::otl::coded::coded;
use crate::wire::otl::ident::KeyVersion;
use crate::wire::otl::limits::{MAC_LEN, RESULT_DATA_MAX};
use crate::wire::otl::meter::{Meter, meter};
use crate::wire::otl::registry::commands::{CommandKind, Outcome};
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::report::outcome;
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::span::{Parsed, Span, array, field, octets, ranged};
use crate::wire::writer::Writer;

/// A MAC under a command key: 16 octets of AES-CMAC, compared by others.
///
/// `Debug` shows nothing of it, so that it cannot get into a log by mistake.
// spec: CMD-14, ERR-5
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; MAC_LEN]);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// The MAC of a record, and the version of the command key that it was made with.
// spec: REC-26
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The version of the command key.
    pub key_version: KeyVersion,
    /// The MAC.
    pub mac: Mac,
}

coded! {
    /// Why a valve is in its state.
    // spec: REC-21
    pub enum ValveCause {
        /// 1: a command.
        Command = 1 "command",
        /// 2: the meter's safety function.
        SafetyFunction = 2 "safety_function",
        /// 3: somebody at the site.
        Local = 3 "local",
        /// 4: not known.
        Unknown = 4 "unknown",
    }
}

/// 0x06: the state of a valve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValveReport {
    /// When.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// The state.
    pub valve: ValveState,
    /// Why it is so.
    pub cause: ValveCause,
    /// The last command sequence executed, or 0.
    pub command: u32,
    /// The MAC, which a valve state that a command asked for has.
    pub proof: Option<Proof>,
}

impl ValveReport {
    /// Writes what the MAC is made over: all but the MAC.
    // spec: CMD-14
    pub(crate) fn encode_before_mac(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.valve.code())?;
        out.u8(self.cause.code())?;
        out.u32(self.command)?;
        out.u8(version(self.proof))
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.encode_before_mac(out)?;
        put_mac(self.proof, out)
    }
}

// spec: REC-26
pub(crate) fn valve_report(input: Span<'_>) -> Parsed<'_, ValveReport> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, valve) = field("valve state", ranged(be_u8, ValveState::from_code))(rest)?;
    let (rest, cause) = field("cause", ranged(be_u8, ValveCause::from_code))(rest)?;
    let (rest, command) = field("command", be_u32)(rest)?;
    let (rest, key_version) = field("command key version", be_u8)(rest)?;
    let (rest, proof) = proof(rest, key_version)?;
    let report = ValveReport {
        stamp,
        meter,
        valve,
        cause,
        command,
        proof,
    };
    Ok((rest, report))
}

/// Data of a command result: 0 to 64 octets.
// spec: REC-21
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultData(Vec<u8>);

impl ResultData {
    /// Data from its octets.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for more than 64 octets.
    pub fn new(octets: Vec<u8>) -> Result<Self, OutOfRange> {
        if octets.len() <= RESULT_DATA_MAX {
            Ok(Self(octets))
        } else {
            Err(OutOfRange("data of a result, at most 64 octets"))
        }
    }

    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// 0x0B: what became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// When.
    pub stamp: Stamp,
    /// The command sequence.
    pub command: u32,
    /// What the command asked for.
    pub kind: CommandKind,
    /// Which meter; 0 for kinds without one.
    pub meter: Meter,
    /// The state of the valve after the command.
    pub valve: ValveState,
    /// What became of it.
    pub outcome: Outcome,
    /// Data of the kind.
    pub data: ResultData,
    /// The MAC, which results of dangerous and config commands have.
    pub proof: Option<Proof>,
}

impl CommandResult {
    /// Writes what the MAC is made over: all but the MAC.
    // spec: CMD-14
    pub(crate) fn encode_before_mac(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(version(self.proof))?;
        out.u32(self.command)?;
        out.u8(self.kind.code())?;
        out.u8(self.meter.octet())?;
        out.u8(self.valve.code())?;
        out.u8(self.outcome.code())?;
        let len = u8::try_from(self.data.as_slice().len()).map_err(|_| EncodeError::NoRoom)?;
        out.u8(len)?;
        out.octets(self.data.as_slice())
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.encode_before_mac(out)?;
        put_mac(self.proof, out)
    }
}

// spec: REC-21, REC-26
pub(crate) fn command_result(input: Span<'_>) -> Parsed<'_, CommandResult> {
    let (rest, stamp) = stamp(input)?;
    let (rest, key_version) = field("command key version", be_u8)(rest)?;
    let (rest, command) = field("command", be_u32)(rest)?;
    let (rest, kind) = field(
        "kind",
        ranged(be_u8, |code| Some(CommandKind::from_code(code))),
    )(rest)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, valve) = field("valve state", ranged(be_u8, ValveState::from_code))(rest)?;
    let (rest, outcome) = outcome(rest)?;
    let (rest, len) = field(
        "data length",
        ranged(be_u8, |len| {
            (usize::from(len) <= RESULT_DATA_MAX).then_some(len)
        }),
    )(rest)?;
    let (rest, data) = octets("data", usize::from(len))(rest)?;
    let (rest, proof) = proof(rest, key_version)?;
    let result = CommandResult {
        stamp,
        command,
        kind,
        meter,
        valve,
        outcome,
        data: ResultData(data.to_vec()),
        proof,
    };
    Ok((rest, result))
}

/// The key version on the wire; 0 where there is no MAC.
fn version(proof: Option<Proof>) -> u8 {
    proof.map_or(0, |proof| proof.key_version.get())
}

fn put_mac(proof: Option<Proof>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    proof.map_or(Ok(()), |proof| out.octets(&proof.mac.0))
}

/// Reads the MAC that stands exactly where the key version is not 0.
// spec: REC-26
fn proof(input: Span<'_>, key_version: u8) -> Parsed<'_, Option<Proof>> {
    let Some(key_version) = KeyVersion::new(key_version) else {
        return Ok((input, None));
    };
    let (rest, mac) = mac(input)?;
    Ok((rest, Some(Proof { key_version, mac })))
}

/// Reads a MAC.
pub(crate) fn mac(input: Span<'_>) -> Parsed<'_, Mac> {
    field("MAC", ranged(array, |octets| Some(Mac(octets))))(input)
}
