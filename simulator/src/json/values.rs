//! The parts of records, and the report.

use serde_json::Value;

use super::{Fields, List, Names};
use crate::codec::record::{Health, MeterRef, Register, Unit};
use crate::codec::report::{Report, Stamp, uncertainty_seconds};
use crate::codec::series::Series;

/// Names of the causes of resets, from 0.
const RESET_CAUSES: [&str; 6] = [
    "power",
    "watchdog",
    "brown_out",
    "firmware",
    "fault",
    "external",
];

/// A stamp.
#[must_use]
pub fn stamp(of: &Stamp) -> Value {
    let fields = match *of {
        Stamp::Set { utc_s, uncertainty } => Fields::default()
            .with("utc_s", utc_s)
            .with("uncertainty_s", uncertainty_seconds(uncertainty)),
        Stamp::Unset { uptime_s, boot } => Fields::default()
            .with("uptime_s", uptime_s)
            .with("boot", boot),
    };
    fields.into()
}

/// A report. The reason of a resync is not part of it.
#[must_use]
pub fn report(of: &Report, names: &Names) -> Value {
    let outcome = of.command.map(|(_, code)| names.id(List::Outcome, code));
    Fields::default()
        .with("stamp", stamp(&of.stamp))
        .with("epoch", of.epoch)
        .with("wake_slot_version", of.slot_version)
        .with("frames_following", of.following)
        .with("command", of.command.map_or(0, |(sequence, _)| sequence))
        .maybe("outcome", outcome)
        .into()
}

pub(super) fn meter(of: MeterRef) -> Value {
    Fields::default()
        .with("slot", of.slot)
        .with("generation", of.generation)
        .into()
}

pub(super) fn unit(of: Unit, names: &Names) -> Value {
    Fields::default()
        .with("code", of.0)
        .with("quantity", names.id(List::Quantity, of.0 >> 4))
        .with("exponent", i16::from(of.0 & 0x0F) - 8)
        .into()
}

pub(super) fn register(of: &Register, names: &Names) -> Value {
    Fields::default()
        .with("unit", unit(of.unit, names))
        .with("value", of.value)
        .into()
}

pub(super) fn series(of: &Series) -> Value {
    let segments = of.segments().iter().map(|segment| {
        Fields::default()
            .with("reason", segment.reason.code())
            .with("first_mark", segment.first)
            .with("registers", segment.registers.as_slice())
    });
    segments.collect()
}

pub(super) fn health(of: &Health) -> Value {
    let battery_mv = (of.battery != 255).then(|| u16::from(of.battery) * 20);
    let known = |value: i8| (value != -128).then_some(value);
    let reset_cause = RESET_CAUSES.get(usize::from(of.reset));
    Fields::default()
        .maybe("battery_mv", battery_mv)
        .maybe(
            "remaining_percent",
            (of.remaining != 255).then_some(of.remaining),
        )
        .maybe("rsrp_dbm", (of.rsrp != 255).then(|| -i16::from(of.rsrp)))
        .maybe("snr_db", known(of.snr))
        .maybe("temperature_degc", known(of.temperature))
        .with("sends", of.sends)
        .with("reset_cause", reset_cause.copied().unwrap_or("unknown"))
        .into()
}
