//! The JSON form of records: written straight to text, or built as a [`Value`].

use core::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::wire::hex::Hex;
use crate::wire::otl::gauges::Gauges;
use crate::wire::otl::health::Health;
use crate::wire::otl::meter::{Meter, RegisterValue, Unit};
use crate::wire::otl::record::{
    Alarm, AlarmNotice, CommandResult, Everyday, MeterExchange, MeterTable, Proof, Record,
    RecordBody, ValveReport,
};
use crate::wire::otl::series::{Segment, Series};
use crate::wire::otl::stamp::Stamp;

/// A record, as an object in the form of `protocol-spec/decode-json.md`.
#[derive(Clone, Copy, Debug)]
pub struct RecordForm<'a>(pub &'a Record);

/// A record.
#[must_use]
pub fn record(record: &Record) -> Value {
    value(&RecordForm(record))
}

/// A form as a value. No form here has keys that are no text, so none is null.
pub(super) fn value(form: &impl Serialize) -> Value {
    serde_json::to_value(form).unwrap_or_default()
}

/// An object that is written field by field.
struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    fn with(&mut self, name: &'static str, value: impl Serialize) -> Result<&mut Self, M::Error> {
        self.0.serialize_entry(name, &value)?;
        Ok(self)
    }

    fn with_option(
        &mut self,
        name: &'static str,
        value: Option<impl Serialize>,
    ) -> Result<&mut Self, M::Error> {
        match value {
            Some(value) => self.with(name, value),
            None => Ok(self),
        }
    }
}

fn object<S: Serializer>(
    serializer: S,
    write: impl FnOnce(&mut Fields<S::SerializeMap>) -> Result<(), S::Error>,
) -> Result<S::Ok, S::Error> {
    let mut fields = Fields(serializer.serialize_map(None)?);
    write(&mut fields)?;
    fields.0.end()
}

impl Serialize for RecordForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("type", self.0.body.id())?
                .with("sequence", self.0.sequence.get())?;
            body(fields, &self.0.body)
        })
    }
}

fn body<M: SerializeMap>(fields: &mut Fields<M>, body: &RecordBody) -> Result<(), M::Error> {
    match body {
        RecordBody::Everyday(record) => return everyday(fields, record),
        RecordBody::RegisterReading(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("meter", MeterForm(record.meter))?
            .with("cause", record.cause.code())?
            .with("register", RegisterForm(record.value))?,
        RecordBody::IntervalSeries(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("meter", MeterForm(record.meter))?
            .with("unit", UnitForm(record.unit))?
            .with("step_min", record.step.get())?
            .with("count", record.series.count())?
            .with("series", SeriesForm(&record.series))?,
        RecordBody::IntervalGauges(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("meter", MeterForm(record.meter))?
            .with("unit", UnitForm(record.unit))?
            .with("step_min", record.step.get())?
            .with("count", record.gauges.count())?
            .with("gauges", GaugesForm(&record.gauges))?,
        RecordBody::AlarmNotice(record) => return alarm_notice(fields, record),
        RecordBody::ValveState(record) => return valve_state(fields, record),
        RecordBody::Health(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("health", HealthForm(&record.health))?
            .with("sends_total", record.sends_total)?
            .with("uptime_s", record.uptime_s)?,
        RecordBody::ResidualGas(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("meter", MeterForm(record.meter))?
            .with("level", record.level.code())?
            .with_option("register", record.remaining.map(RegisterForm))?,
        RecordBody::MeterExchange(record) => return meter_exchange(fields, record),
        RecordBody::MeterTable(record) => return meter_table(fields, record),
        RecordBody::CommandResult(record) => return command_result(fields, record),
        RecordBody::ClockChange(record) => fields
            .with("before", StampForm(record.before))?
            .with("after", StampForm(record.after))?
            .with("cause", record.cause.code())?,
        RecordBody::OpaquePayload(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("maker", record.maker)?
            .with("payload_type", record.payload_type)?
            .with("payload", Shown(Hex(&record.octets)))?,
        RecordBody::TerminalInfo(record) => fields
            .with("stamp", StampForm(record.stamp))?
            .with("model", record.model)?
            .with("firmware", record.firmware)?
            .with("capabilities", record.capabilities)?
            .with("zone_quarter_hours", record.zone_quarter_hours)?,
        RecordBody::Opaque(record) => fields
            .with("number", record.number())?
            .with("critical", record.critical())?
            .with("body", Shown(Hex(record.octets())))?,
    };
    Ok(())
}

fn everyday<M: SerializeMap>(fields: &mut Fields<M>, record: &Everyday) -> Result<(), M::Error> {
    let parts = record.parts();
    let daily = record.daily_register().map(|register| register.get());
    let registers = parts.hourly_registers.as_ref().map(SeriesForm);
    let pressures = parts.hourly_pressures.as_ref().map(GaugesForm);
    fields
        .with("valve", parts.valve.id())?
        .with("meter", MeterForm(parts.meter))?
        .with("unit", UnitForm(parts.unit))?
        .with("day", parts.day)?
        .with_option("daily_register", daily)?
        .with_option("hourly_registers", registers)?
        .with_option("hourly_pressures", pressures)?
        .with_option("health", parts.health.as_ref().map(HealthForm))?;
    Ok(())
}

fn alarm_notice<M: SerializeMap>(
    fields: &mut Fields<M>,
    record: &AlarmNotice,
) -> Result<(), M::Error> {
    let flow_category = record.flow_category.map(|category| category.get());
    fields
        .with("stamp", StampForm(record.stamp))?
        .with("meter", MeterForm(record.meter))?
        .with("snapshot", record.snapshot)?
        .with("valve", record.valve.id())?
        .with_option("flow_category", flow_category.map(Shown))?
        .with_option("register", record.register.map(RegisterForm))?
        .with("panel", record.panel.as_str())?
        .with("alarms", Each(record.alarms.as_slice(), AlarmForm))?;
    Ok(())
}

fn valve_state<M: SerializeMap>(
    fields: &mut Fields<M>,
    record: &ValveReport,
) -> Result<(), M::Error> {
    fields
        .with("stamp", StampForm(record.stamp))?
        .with("meter", MeterForm(record.meter))?
        .with("valve", record.valve.id())?
        .with("cause", record.cause.code())?
        .with("command", record.command)?
        .with("command_key_version", key_version(record.proof))?
        .with_option("mac", record.proof.map(|proof| Shown(proof.mac)))?;
    Ok(())
}

fn meter_exchange<M: SerializeMap>(
    fields: &mut Fields<M>,
    record: &MeterExchange,
) -> Result<(), M::Error> {
    fields
        .with("stamp", StampForm(record.stamp()))?
        .with("old_meter", MeterForm(record.old_meter()))?
        .with("new_meter", MeterForm(record.new_meter()))?
        .with_option("old_register", record.old_register().map(RegisterForm))?
        .with_option("new_register", record.new_register().map(RegisterForm))?;
    Ok(())
}

fn meter_table<M: SerializeMap>(
    fields: &mut Fields<M>,
    record: &MeterTable,
) -> Result<(), M::Error> {
    fields
        .with("stamp", StampForm(record.stamp))?
        .with("meter", MeterForm(record.meter))?
        .with("medium", record.medium)?
        .with("unit", UnitForm(record.unit))?
        .with("digits", record.digits.get())?
        .with("serial", record.serial.as_str())?;
    Ok(())
}

fn command_result<M: SerializeMap>(
    fields: &mut Fields<M>,
    record: &CommandResult,
) -> Result<(), M::Error> {
    fields
        .with("stamp", StampForm(record.stamp))?
        .with("command_key_version", key_version(record.proof))?
        .with("command", record.command)?
        .with("kind", Shown(record.kind))?
        .with("meter", MeterForm(record.meter))?
        .with("valve", record.valve.id())?
        .with("outcome", Shown(record.outcome))?
        .with("data", Shown(Hex(record.data.as_slice())))?
        .with_option("mac", record.proof.map(|proof| Shown(proof.mac)))?;
    Ok(())
}

fn key_version(proof: Option<Proof>) -> u8 {
    proof.map_or(0, |proof| proof.key_version.get())
}

/// What shows itself, as a string.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An array of what `.1` makes of each item.
struct Each<'a, T, F>(&'a [T], fn(&'a T) -> F);

impl<T, F: Serialize> Serialize for Each<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

pub(super) struct StampForm(pub(super) Stamp);

impl Serialize for StampForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            match self.0 {
                Stamp::Set { uncertainty, utc_s } => fields
                    .with("utc_s", utc_s)?
                    .with("uncertainty_s", uncertainty.seconds())?,
                Stamp::Unset { uptime_s, boot } => {
                    fields.with("uptime_s", uptime_s)?.with("boot", boot)?
                }
            };
            Ok(())
        })
    }
}

pub(super) struct MeterForm(pub(super) Meter);

impl Serialize for MeterForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("slot", self.0.slot())?
                .with("generation", self.0.generation())?;
            Ok(())
        })
    }
}

struct UnitForm(Unit);

impl Serialize for UnitForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("code", self.0.code())?
                .with("quantity", self.0.quantity_id())?
                .with("exponent", self.0.exponent())?;
            Ok(())
        })
    }
}

struct RegisterForm(RegisterValue);

impl Serialize for RegisterForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("unit", UnitForm(self.0.unit))?
                .with("value", self.0.register.get())?;
            Ok(())
        })
    }
}

struct SeriesForm<'a>(&'a Series);

impl Serialize for SeriesForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.segments().map(SegmentForm))
    }
}

struct SegmentForm<'a>(Segment<'a>);

impl Serialize for SegmentForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("reason", self.0.reason.code())?
                .with("first_mark", self.0.first_mark)?
                .with("registers", Each(self.0.registers, |value| value.get()))?;
            Ok(())
        })
    }
}

struct GaugesForm<'a>(&'a Gauges);

impl Serialize for GaugesForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

struct AlarmForm<'a>(&'a Alarm);

impl Serialize for AlarmForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with("alarm", Shown(self.0.alarm))?
                .with("state", self.0.state.id())?
                .with("code", Shown(Hex(&self.0.code)))?;
            Ok(())
        })
    }
}

struct HealthForm<'a>(&'a Health);

impl Serialize for HealthForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(serializer, |fields| {
            fields
                .with_option("battery_mv", self.0.battery_mv())?
                .with_option("remaining_percent", self.0.remaining_percent())?
                .with_option("rsrp_dbm", self.0.rsrp_dbm())?
                .with_option("snr_db", self.0.snr_db())?
                .with_option("temperature_degc", self.0.temperature_degc())?
                .with("sends", self.0.sends())?
                .with("reset_cause", self.0.reset_cause().id())?;
            Ok(())
        })
    }
}
