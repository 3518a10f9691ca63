//! What a terminal says about itself, and payloads of other protocols.

use nom::Input as _;
use nom::number::complete::{be_i8, be_u8, be_u16, be_u32};

use crate::wire::error::EncodeError;
use crate::wire::hex::Hex;
use crate::wire::otl::coded::coded;
use crate::wire::otl::health::{Health, health};
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

/// 0x07: health of the terminal, and totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// When.
    pub stamp: Stamp,
    /// Battery, radio and resets.
    pub health: Health,
    /// Transmissions in the life of the terminal.
    pub sends_total: u32,
    /// Seconds since boot.
    pub uptime_s: u32,
}

impl HealthReport {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        self.health.encode(out)?;
        out.u32(self.sends_total)?;
        out.u32(self.uptime_s)
    }
}

pub(crate) fn health_report(input: Span<'_>) -> Parsed<'_, HealthReport> {
    let (rest, stamp) = stamp(input)?;
    let (rest, health) = health(rest)?;
    let (rest, sends_total) = field("sends in all", be_u32)(rest)?;
    let (rest, uptime_s) = field("uptime", be_u32)(rest)?;
    let report = HealthReport {
        stamp,
        health,
        sends_total,
        uptime_s,
    };
    Ok((rest, report))
}

coded! {
    /// Who changed a clock.
    // spec: REC-21
    pub enum ClockCause {
        /// 1: an answer of the server.
        Answer = 1 "answer",
        /// 2: a technician.
        Technician = 2 "technician",
        /// 3: a restart.
        Restart = 3 "restart",
    }
}

/// 0x0C: the clock was changed.
// spec: REC-5
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The clock before.
    pub before: Stamp,
    /// The clock after.
    pub after: Stamp,
    /// Who changed it.
    pub cause: ClockCause,
}

impl ClockChange {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.before.encode(out)?;
        self.after.encode(out)?;
        out.u8(self.cause.code())
    }
}

// spec: REC-21
pub(crate) fn clock_change(input: Span<'_>) -> Parsed<'_, ClockChange> {
    let (rest, before) = stamp(input)?;
    let (rest, after) = stamp(rest)?;
    let (rest, cause) = field("cause", ranged(be_u8, ClockCause::from_code))(rest)?;
    let change = ClockChange {
        before,
        after,
        cause,
    };
    Ok((rest, change))
}

/// 0x0D: a payload of another protocol, byte for byte.
// spec: EXT-7
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaquePayload {
    /// When.
    pub stamp: Stamp,
    /// The maker whose number space `payload_type` is.
    pub maker: u16,
    /// The maker's own type of the payload.
    pub payload_type: u8,
    /// The payload.
    pub octets: Vec<u8>,
}

impl OpaquePayload {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u16(self.maker)?;
        out.u8(self.payload_type)?;
        out.octets(&self.octets)
    }
}

// spec: EXT-7
pub(crate) fn opaque_payload(input: Span<'_>) -> Parsed<'_, OpaquePayload> {
    let (rest, stamp) = stamp(input)?;
    let (rest, maker) = field("maker", be_u16)(rest)?;
    let (rest, payload_type) = field("payload type", be_u8)(rest)?;
    let (rest, octets) = to_the_end("payload")(rest)?;
    let payload = OpaquePayload {
        stamp,
        maker,
        payload_type,
        octets,
    };
    Ok((rest, payload))
}

/// Takes all octets that are left.
pub(crate) fn to_the_end<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Vec<u8>> {
    move |input: Span<'a>| {
        let rest = input.take_from(input.octets().len());
        input.note(rest, name, &Hex(input.octets()));
        Ok((rest, input.octets().to_vec()))
    }
}

/// 0x0E: what the terminal is and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalInfo {
    /// When.
    pub stamp: Stamp,
    /// The maker's number of the model.
    pub model: u16,
    /// The maker's number of the firmware.
    pub firmware: u32,
    /// Bit 0 `valve_close`, 1 `valve_permit_reopen`, 2 `valve_open`, 3 holds TCP, 4 listens on
    /// UDP, 5 hourly pressures; others are kept.
    pub capabilities: u16,
    /// Offset of the terminal's zone from UTC in quarter hours.
    pub zone_quarter_hours: i8,
}

impl TerminalInfo {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u16(self.model)?;
        out.u32(self.firmware)?;
        out.u16(self.capabilities)?;
        out.octets(&self.zone_quarter_hours.to_be_bytes())
    }
}

pub(crate) fn terminal_info(input: Span<'_>) -> Parsed<'_, TerminalInfo> {
    let (rest, stamp) = stamp(input)?;
    let (rest, model) = field("model", be_u16)(rest)?;
    let (rest, firmware) = field("firmware", be_u32)(rest)?;
    let (rest, capabilities) = field("capabilities", be_u16)(rest)?;
    let (rest, zone_quarter_hours) = field("zone", be_i8)(rest)?;
    let info = TerminalInfo {
        stamp,
        model,
        firmware,
        capabilities,
        zone_quarter_hours,
    };
    Ok((rest, info))
}
