//! The JSON form of records.

use serde_json::{Value, json};

use crate::wire::otl::gauges::Gauges;
use crate::wire::otl::health::Health;
use crate::wire::otl::meter::{Meter, RegisterValue, Unit};
use crate::wire::otl::record::{
    AlarmNotice, CommandResult, Everyday, MeterExchange, MeterTable, Proof, Record, RecordBody,
    ValveReport,
};
use crate::wire::otl::series::Series;

use super::{Object, hex, stamp};

/// A record.
#[must_use]
pub fn record(record: &Record) -> Value {
    let head = Object::default()
        .with("type", record.body.id())
        .with("sequence", record.sequence.get());
    body(head, &record.body).value()
}

fn body(head: Object, body: &RecordBody) -> Object {
    match body {
        RecordBody::Everyday(record) => everyday(head, record),
        RecordBody::RegisterReading(record) => head
            .with("stamp", stamp(record.stamp))
            .with("meter", meter(record.meter))
            .with("cause", record.cause.code())
            .with("register", register_value(record.value)),
        RecordBody::IntervalSeries(record) => head
            .with("stamp", stamp(record.stamp))
            .with("meter", meter(record.meter))
            .with("unit", unit(record.unit))
            .with("step_min", record.step.get())
            .with("count", record.series.count())
            .with("series", series(&record.series)),
        RecordBody::IntervalGauges(record) => head
            .with("stamp", stamp(record.stamp))
            .with("meter", meter(record.meter))
            .with("unit", unit(record.unit))
            .with("step_min", record.step.get())
            .with("count", record.gauges.count())
            .with("gauges", gauges(&record.gauges)),
        RecordBody::AlarmNotice(record) => alarm_notice(head, record),
        RecordBody::ValveState(record) => valve_state(head, record),
        RecordBody::Health(record) => head
            .with("stamp", stamp(record.stamp))
            .with("health", health(&record.health))
            .with("sends_total", record.sends_total)
            .with("uptime_s", record.uptime_s),
        RecordBody::ResidualGas(record) => head
            .with("stamp", stamp(record.stamp))
            .with("meter", meter(record.meter))
            .with("level", record.level.code())
            .with_option("register", record.remaining.map(register_value)),
        RecordBody::MeterExchange(record) => meter_exchange(head, record),
        RecordBody::MeterTable(record) => meter_table(head, record),
        RecordBody::CommandResult(record) => command_result(head, record),
        RecordBody::ClockChange(record) => head
            .with("before", stamp(record.before))
            .with("after", stamp(record.after))
            .with("cause", record.cause.code()),
        RecordBody::OpaquePayload(record) => head
            .with("stamp", stamp(record.stamp))
            .with("maker", record.maker)
            .with("payload_type", record.payload_type)
            .with("payload", hex(&record.octets)),
        RecordBody::TerminalInfo(record) => head
            .with("stamp", stamp(record.stamp))
            .with("model", record.model)
            .with("firmware", record.firmware)
            .with("capabilities", record.capabilities)
            .with("zone_quarter_hours", record.zone_quarter_hours),
        RecordBody::Opaque(record) => head
            .with("number", record.number())
            .with("critical", record.critical())
            .with("body", hex(record.octets())),
    }
}

fn everyday(head: Object, record: &Everyday) -> Object {
    let parts = record.parts();
    head.with("valve", parts.valve.id())
        .with("meter", meter(parts.meter))
        .with("unit", unit(parts.unit))
        .with("day", parts.day)
        .with_option(
            "daily_register",
            record.daily_register().map(|register| register.get()),
        )
        .with_option(
            "hourly_registers",
            parts.hourly_registers.as_ref().map(series),
        )
        .with_option(
            "hourly_pressures",
            parts.hourly_pressures.as_ref().map(gauges),
        )
        .with_option("health", parts.health.as_ref().map(health))
}

fn alarm_notice(head: Object, record: &AlarmNotice) -> Object {
    let alarms: Vec<Value> = record
        .alarms
        .as_slice()
        .iter()
        .map(|alarm| {
            Object::default()
                .with("alarm", alarm.alarm.to_string())
                .with("state", alarm.state.id())
                .with("code", hex(&alarm.code))
                .value()
        })
        .collect();
    head.with("stamp", stamp(record.stamp))
        .with("meter", meter(record.meter))
        .with("snapshot", record.snapshot)
        .with("valve", record.valve.id())
        .with_option(
            "flow_category",
            record
                .flow_category
                .map(|category| category.get().to_string()),
        )
        .with_option("register", record.register.map(register_value))
        .with("panel", record.panel.as_str())
        .with("alarms", alarms)
}

fn valve_state(head: Object, record: &ValveReport) -> Object {
    head.with("stamp", stamp(record.stamp))
        .with("meter", meter(record.meter))
        .with("valve", record.valve.id())
        .with("cause", record.cause.code())
        .with("command", record.command)
        .with("command_key_version", key_version(record.proof))
        .with_option("mac", record.proof.map(|proof| proof.mac.to_string()))
}

fn meter_exchange(head: Object, record: &MeterExchange) -> Object {
    head.with("stamp", stamp(record.stamp()))
        .with("old_meter", meter(record.old_meter()))
        .with("new_meter", meter(record.new_meter()))
        .with_option("old_register", record.old_register().map(register_value))
        .with_option("new_register", record.new_register().map(register_value))
}

fn meter_table(head: Object, record: &MeterTable) -> Object {
    head.with("stamp", stamp(record.stamp))
        .with("meter", meter(record.meter))
        .with("medium", record.medium)
        .with("unit", unit(record.unit))
        .with("digits", record.digits.get())
        .with("serial", record.serial.as_str())
}

fn command_result(head: Object, record: &CommandResult) -> Object {
    head.with("stamp", stamp(record.stamp))
        .with("command_key_version", key_version(record.proof))
        .with("command", record.command)
        .with("kind", record.kind.to_string())
        .with("meter", meter(record.meter))
        .with("valve", record.valve.id())
        .with("outcome", record.outcome.to_string())
        .with("data", hex(record.data.as_slice()))
        .with_option("mac", record.proof.map(|proof| proof.mac.to_string()))
}

fn key_version(proof: Option<Proof>) -> u8 {
    proof.map_or(0, |proof| proof.key_version.get())
}

pub(super) fn meter(meter: Meter) -> Value {
    json!({ "slot": meter.slot(), "generation": meter.generation() })
}

fn unit(unit: Unit) -> Value {
    json!({ "code": unit.code(), "quantity": unit.quantity_id(), "exponent": unit.exponent() })
}

fn register_value(value: RegisterValue) -> Value {
    json!({ "unit": unit(value.unit), "value": value.register.get() })
}

fn series(series: &Series) -> Vec<Value> {
    series
        .segments()
        .map(|segment| {
            let registers: Vec<u64> = segment.registers.iter().map(|value| value.get()).collect();
            json!({
                "reason": segment.reason.code(),
                "first_mark": segment.first_mark,
                "registers": registers,
            })
        })
        .collect()
}

fn gauges(gauges: &Gauges) -> Vec<Value> {
    gauges.iter().map(Value::from).collect()
}

fn health(health: &Health) -> Value {
    Object::default()
        .with_option("battery_mv", health.battery_mv())
        .with_option("remaining_percent", health.remaining_percent())
        .with_option("rsrp_dbm", health.rsrp_dbm())
        .with_option("snr_db", health.snr_db())
        .with_option("temperature_degc", health.temperature_degc())
        .with("sends", health.sends())
        .with("reset_cause", health.reset_cause().id())
        .value()
}
