//! Records.

use serde_json::Value;

use super::values::{health, meter, register, series, stamp, unit};
use super::{Fields, List, Names, hex};
use crate::codec::record::{
    Alarm, AlarmNotice, CommandResult, Everyday, MeterTable, Proof, Record, Register, ValveState,
};

/// Names of the states of alarms, from 1.
const ALARM_STATES: [&str; 3] = ["raised", "cleared", "present"];

/// A record under its sequence.
#[must_use]
pub fn record(of: &Record, sequence: u32, names: &Names) -> Value {
    let fields = Fields::default()
        .with("type", kind(of))
        .with("sequence", sequence);
    let fields = match of {
        Record::Everyday(of) => everyday(fields, of, names),
        Record::AlarmNotice(of) => alarm_notice(fields, of, names),
        Record::ValveState(of) => valve_state(fields, of, names),
        Record::MeterTable(of) => meter_table(fields, of, names),
        Record::CommandResult(of) => command_result(fields, of, names),
        Record::RegisterReading { .. }
        | Record::IntervalSeries { .. }
        | Record::IntervalGauges { .. }
        | Record::ResidualGas { .. }
        | Record::MeterExchange { .. } => of_meter(fields, of, names),
        Record::Health { .. }
        | Record::ClockChange { .. }
        | Record::OpaquePayload { .. }
        | Record::TerminalInfo { .. }
        | Record::Maker { .. } => of_terminal(fields, of),
    };
    fields.into()
}

fn kind(of: &Record) -> &'static str {
    match of {
        Record::Everyday(_) => "everyday",
        Record::RegisterReading { .. } => "register_reading",
        Record::IntervalSeries { .. } => "interval_series",
        Record::IntervalGauges { .. } => "interval_gauges",
        Record::AlarmNotice(_) => "alarm_notice",
        Record::ValveState(_) => "valve_state",
        Record::Health { .. } => "health",
        Record::ResidualGas { .. } => "residual_gas",
        Record::MeterExchange { .. } => "meter_exchange",
        Record::MeterTable(_) => "meter_table",
        Record::CommandResult(_) => "command_result",
        Record::ClockChange { .. } => "clock_change",
        Record::OpaquePayload { .. } => "opaque_payload",
        Record::TerminalInfo { .. } => "terminal_info",
        Record::Maker { .. } => "opaque",
    }
}

fn everyday(fields: Fields, of: &Everyday, names: &Names) -> Fields {
    let last = of.registers.as_ref().and_then(|series| series.at(24));
    let pressures = of.pressures.as_ref().map(|gauges| gauges.marks());
    fields
        .with("valve", names.id(List::Valve, of.valve))
        .with("meter", meter(of.meter))
        .with("unit", unit(of.unit, names))
        .with("day", of.day)
        .maybe("daily_register", of.daily.or(last))
        .maybe("hourly_registers", of.registers.as_ref().map(series))
        .maybe("hourly_pressures", pressures)
        .maybe("health", of.health.as_ref().map(health))
}

fn alarm_notice(fields: Fields, of: &AlarmNotice, names: &Names) -> Fields {
    let category = (of.flow_category != 0).then(|| char::from(of.flow_category).to_string());
    let alarms = of.alarms.iter().map(|of| alarm(of, names));
    fields
        .with("stamp", stamp(&of.stamp))
        .with("meter", meter(of.meter))
        .with("snapshot", of.snapshot)
        .with("valve", names.id(List::Valve, of.valve))
        .maybe("flow_category", category)
        .maybe("register", maybe_register(of.register.as_ref(), names))
        .with("panel", String::from_utf8_lossy(&of.panel))
        .with("alarms", alarms.collect::<Value>())
}

fn alarm(of: &Alarm, names: &Names) -> Fields {
    let state = of.state.checked_sub(1);
    let state = state.and_then(|state| ALARM_STATES.get(usize::from(state)));
    Fields::default()
        .with("alarm", names.id(List::Alarm, of.alarm))
        .with("state", state.copied().unwrap_or("unknown"))
        .with("code", hex(&of.code))
}

fn valve_state(fields: Fields, of: &ValveState, names: &Names) -> Fields {
    fields
        .with("stamp", stamp(&of.stamp))
        .with("meter", meter(of.meter))
        .with("valve", names.id(List::Valve, of.valve))
        .with("cause", of.cause)
        .with("command", of.command)
        .with("command_key_version", key_version(of.proof.as_ref()))
        .maybe("mac", of.proof.map(|proof| hex(&proof.mac)))
}

fn command_result(fields: Fields, of: &CommandResult, names: &Names) -> Fields {
    fields
        .with("stamp", stamp(&of.stamp))
        .with("command_key_version", key_version(of.proof.as_ref()))
        .with("command", of.command)
        .with("kind", names.id(List::Command, of.kind))
        .with("meter", meter(of.meter))
        .with("valve", names.id(List::Valve, of.valve))
        .with("outcome", names.id(List::Outcome, of.outcome))
        .with("data", hex(&of.data))
        .maybe("mac", of.proof.map(|proof| hex(&proof.mac)))
}

fn key_version(proof: Option<&Proof>) -> u8 {
    proof.map_or(0, |proof| proof.key_version)
}

fn meter_table(fields: Fields, of: &MeterTable, names: &Names) -> Fields {
    fields
        .with("stamp", stamp(&of.stamp))
        .with("meter", meter(of.meter))
        .with("medium", of.medium)
        .with("unit", unit(of.unit, names))
        .with("digits", of.digits)
        .with("serial", String::from_utf8_lossy(&of.serial))
}

fn maybe_register(of: Option<&Register>, names: &Names) -> Option<Value> {
    of.map(|of| register(of, names))
}

fn of_meter(fields: Fields, of: &Record, names: &Names) -> Fields {
    match of {
        Record::RegisterReading {
            stamp: at,
            meter: of,
            cause,
            register: value,
        } => fields
            .with("stamp", stamp(at))
            .with("meter", meter(*of))
            .with("cause", *cause)
            .with("register", register(value, names)),
        Record::IntervalSeries {
            stamp: at,
            meter: of,
            unit: all_in,
            step_min,
            series: all,
        } => fields
            .with("stamp", stamp(at))
            .with("meter", meter(*of))
            .with("unit", unit(*all_in, names))
            .with("step_min", *step_min)
            .with("count", all.count())
            .with("series", series(all)),
        Record::IntervalGauges {
            stamp: at,
            meter: of,
            unit: all_in,
            step_min,
            gauges,
        } => fields
            .with("stamp", stamp(at))
            .with("meter", meter(*of))
            .with("unit", unit(*all_in, names))
            .with("step_min", *step_min)
            .with("count", gauges.marks().len())
            .with("gauges", gauges.marks()),
        Record::ResidualGas {
            stamp: at,
            meter: of,
            level,
            register,
        } => fields
            .with("stamp", stamp(at))
            .with("meter", meter(*of))
            .with("level", *level)
            .maybe("register", maybe_register(register.as_ref(), names)),
        Record::MeterExchange {
            stamp: at,
            old,
            new,
            old_register,
            new_register,
        } => fields
            .with("stamp", stamp(at))
            .with("old_meter", meter(*old))
            .with("new_meter", meter(*new))
            .maybe("old_register", maybe_register(old_register.as_ref(), names))
            .maybe("new_register", maybe_register(new_register.as_ref(), names)),
        // `record` sends no other here.
        _ => fields,
    }
}

fn of_terminal(fields: Fields, of: &Record) -> Fields {
    match of {
        Record::Health {
            stamp: at,
            health: of,
            sends_total,
            uptime_s,
        } => fields
            .with("stamp", stamp(at))
            .with("health", health(of))
            .with("sends_total", *sends_total)
            .with("uptime_s", *uptime_s),
        Record::ClockChange {
            before,
            after,
            cause,
        } => fields
            .with("before", stamp(before))
            .with("after", stamp(after))
            .with("cause", *cause),
        Record::OpaquePayload {
            stamp: at,
            maker,
            payload_type,
            payload,
        } => fields
            .with("stamp", stamp(at))
            .with("maker", *maker)
            .with("payload_type", *payload_type)
            .with("payload", hex(payload)),
        Record::TerminalInfo {
            stamp: at,
            model,
            firmware,
            capabilities,
            zone,
        } => fields
            .with("stamp", stamp(at))
            .with("model", *model)
            .with("firmware", *firmware)
            .with("capabilities", *capabilities)
            .with("zone_quarter_hours", *zone),
        // A terminal makes none that is critical.
        Record::Maker { number, body } => fields
            .with("number", *number)
            .with("critical", false)
            .with("body", hex(body)),
        // `record` sends no other here.
        _ => fields,
    }
}
