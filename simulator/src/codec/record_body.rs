//! The octets of record bodies.

use super::EncodeError;
use super::record::{
    AlarmNotice, CommandResult, Everyday, Health, MeterRef, MeterTable, Proof, Record, Register,
    Unit, ValveState,
};
use super::series::MAX_REGISTER;
use super::wire::Writer;

/// The longest record, its item's head and sequence included.
pub const MAX_RECORD: usize = 1_100;

type Encoded = Result<(), EncodeError>;

fn within(ok: bool, what: &'static str) -> Encoded {
    if ok {
        Ok(())
    } else {
        Err(EncodeError::BadValue(what))
    }
}

fn short(octets: &[u8], what: &'static str) -> Result<u8, EncodeError> {
    u8::try_from(octets.len()).map_err(|_| EncodeError::BadValue(what))
}

fn meter(w: &mut Writer, m: MeterRef) -> Encoded {
    within(m.slot <= 15 && m.generation <= 15, "meter")?;
    w.u8((m.slot << 4) | m.generation);
    Ok(())
}

// spec: REC-16
fn unit(w: &mut Writer, u: Unit) -> Encoded {
    within(matches!(u.0 >> 4, 1..=11 | 14 | 15), "unit")?;
    w.u8(u.0);
    Ok(())
}

// spec: REC-16
fn value(w: &mut Writer, v: u64) -> Encoded {
    within(v <= MAX_REGISTER, "register")?;
    w.varint(v);
    Ok(())
}

fn register(w: &mut Writer, r: &Register) -> Encoded {
    unit(w, r.unit)?;
    value(w, r.value)
}

fn maybe_register(w: &mut Writer, r: Option<&Register>) -> Encoded {
    r.map_or(Ok(()), |r| register(w, r))
}

// spec: REC-20
fn health(w: &mut Writer, h: &Health) -> Encoded {
    within(h.remaining <= 100 || h.remaining == 255, "remaining")?;
    within(h.sends <= 15, "sends")?;
    within(h.reset <= 5 || h.reset == 15, "reset cause")?;
    w.u8(h.battery);
    w.u8(h.remaining);
    w.u8(h.rsrp);
    w.bytes(&h.snr.to_be_bytes());
    w.bytes(&h.temperature.to_be_bytes());
    w.u8((h.sends << 4) | h.reset);
    Ok(())
}

// spec: REC-21
fn printable(octets: &[u8], what: &'static str) -> Encoded {
    within(octets.iter().all(|c| (0x20..=0x7E).contains(c)), what)
}

// spec: REC-17, REC-18, REC-19
fn everyday(w: &mut Writer, e: &Everyday) -> Encoded {
    within(e.valve <= 9, "valve")?;
    let last = e.registers.as_ref().and_then(|s| s.at(24));
    within(
        e.registers.as_ref().is_none_or(|s| s.count() == 24),
        "hourly registers",
    )?;
    within(
        e.pressures.as_ref().is_none_or(|g| g.marks().len() == 24),
        "hourly pressures",
    )?;
    within(
        last.is_none() || e.daily.is_none() || last == e.daily,
        "daily register",
    )?;
    let explicit = e.daily.filter(|_| last.is_none());
    let bit = |set: bool, shift: u32| u8::from(set) << shift;
    w.u8(bit(e.registers.is_some(), 7)
        | bit(e.pressures.is_some(), 6)
        | bit(e.health.is_some(), 5)
        | bit(explicit.is_some(), 4)
        | e.valve);
    meter(w, e.meter)?;
    unit(w, e.unit)?;
    w.u16(e.day);
    if let Some(v) = explicit {
        value(w, v)?;
    }
    if let Some(series) = &e.registers {
        series.encode(w)?;
    }
    if let Some(gauges) = &e.pressures {
        gauges.encode(w)?;
    }
    e.health.as_ref().map_or(Ok(()), |h| health(w, h))
}

// spec: REC-21, REC-22
fn alarm_notice(w: &mut Writer, a: &AlarmNotice) -> Encoded {
    within(a.valve <= 9, "valve")?;
    within(a.panel.len() <= 8, "panel")?;
    printable(&a.panel, "panel")?;
    within((1..=6).contains(&a.alarms.len()), "alarms")?;
    within(
        a.flow_category == 0 || (0x20..=0x7E).contains(&a.flow_category),
        "flow category",
    )?;
    a.stamp.encode(w)?;
    meter(w, a.meter)?;
    w.u8((u8::from(a.register.is_some()) << 7) | (u8::from(a.snapshot) << 6) | a.valve);
    w.u8(a.flow_category);
    maybe_register(w, a.register.as_ref())?;
    w.u8(short(&a.panel, "panel")?);
    w.bytes(&a.panel);
    w.u8(u8::try_from(a.alarms.len()).map_err(|_| EncodeError::BadValue("alarms"))?);
    for alarm in &a.alarms {
        within((1..=3).contains(&alarm.state), "alarm state")?;
        w.u8(alarm.alarm);
        w.u8(alarm.state);
        w.bytes(&alarm.code);
    }
    Ok(())
}

// spec: REC-26
fn key_version(proof: Option<&Proof>) -> Result<u8, EncodeError> {
    match proof {
        None => Ok(0),
        Some(p) => within(p.key_version != 0, "command key version").map(|()| p.key_version),
    }
}

fn valve_state(w: &mut Writer, v: &ValveState) -> Encoded {
    within(v.valve <= 9, "valve")?;
    within((1..=4).contains(&v.cause), "cause")?;
    v.stamp.encode(w)?;
    meter(w, v.meter)?;
    w.u8(v.valve);
    w.u8(v.cause);
    w.u32(v.command);
    w.u8(key_version(v.proof.as_ref())?);
    Ok(())
}

fn command_result(w: &mut Writer, r: &CommandResult) -> Encoded {
    within(r.valve <= 9, "valve")?;
    within(r.data.len() <= 64, "data")?;
    r.stamp.encode(w)?;
    w.u8(key_version(r.proof.as_ref())?);
    w.u32(r.command);
    w.u8(r.kind);
    meter(w, r.meter)?;
    w.u8(r.valve);
    w.u8(r.outcome);
    w.u8(short(&r.data, "data")?);
    w.bytes(&r.data);
    Ok(())
}

fn meter_table(w: &mut Writer, t: &MeterTable) -> Encoded {
    within((1..=14).contains(&t.digits), "digits")?;
    within((1..=16).contains(&t.serial.len()), "serial")?;
    printable(&t.serial, "serial")?;
    t.stamp.encode(w)?;
    meter(w, t.meter)?;
    w.u8(t.medium);
    unit(w, t.unit)?;
    w.u8(t.digits);
    w.u8(short(&t.serial, "serial")?);
    w.bytes(&t.serial);
    Ok(())
}

// spec: REC-25
fn exchange(
    w: &mut Writer,
    meters: (MeterRef, MeterRef),
    registers: (Option<&Register>, Option<&Register>),
) -> Encoded {
    let (old, new) = meters;
    within(
        old.slot == new.slot && old.generation != new.generation,
        "exchanged meters",
    )?;
    meter(w, old)?;
    meter(w, new)?;
    w.u8((u8::from(registers.0.is_some()) << 7) | (u8::from(registers.1.is_some()) << 6));
    maybe_register(w, registers.0)?;
    maybe_register(w, registers.1)
}

fn interval(w: &mut Writer, m: MeterRef, u: Unit, step_min: u16, count: usize) -> Encoded {
    within((1..=1_440).contains(&step_min), "step")?;
    let count = u8::try_from(count).map_err(|_| EncodeError::BadValue("count"))?;
    within((1..=250).contains(&count), "count")?;
    meter(w, m)?;
    unit(w, u)?;
    w.u16(step_min);
    w.u8(count);
    Ok(())
}

impl Record {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u8 {
        match self {
            Self::Everyday(_) => 0x01,
            Self::RegisterReading { .. } => 0x02,
            Self::IntervalSeries { .. } => 0x03,
            Self::IntervalGauges { .. } => 0x04,
            Self::AlarmNotice(_) => 0x05,
            Self::ValveState(_) => 0x06,
            Self::Health { .. } => 0x07,
            Self::ResidualGas { .. } => 0x08,
            Self::MeterExchange { .. } => 0x09,
            Self::MeterTable(_) => 0x0A,
            Self::CommandResult(_) => 0x0B,
            Self::ClockChange { .. } => 0x0C,
            Self::OpaquePayload { .. } => 0x0D,
            Self::TerminalInfo { .. } => 0x0E,
            Self::Maker { number, .. } => *number,
        }
    }

    /// Its body after the record sequence and before the MAC.
    ///
    /// # Errors
    /// A field outside of its range.
    // spec: GEN-3, GEN-7, REC-21, EXT-2, EXT-7
    pub fn body_before_mac(&self) -> Result<Vec<u8>, EncodeError> {
        let mut w = Writer::new();
        match self {
            Self::Everyday(e) => everyday(&mut w, e)?,
            Self::AlarmNotice(a) => alarm_notice(&mut w, a)?,
            Self::ValveState(v) => valve_state(&mut w, v)?,
            Self::CommandResult(r) => command_result(&mut w, r)?,
            Self::MeterTable(t) => meter_table(&mut w, t)?,
            Self::Maker { number, body } => {
                within((0x60..=0x6F).contains(number), "record number")?;
                w.bytes(body);
            }
            other => other.small_body(&mut w)?,
        }
        Ok(w.into_vec())
    }

    fn small_body(&self, w: &mut Writer) -> Encoded {
        match self {
            Self::RegisterReading {
                stamp,
                meter: m,
                cause,
                register: r,
            } => {
                within((1..=6).contains(cause), "cause")?;
                stamp.encode(w)?;
                meter(w, *m)?;
                unit(w, r.unit)?;
                w.u8(*cause);
                value(w, r.value)
            }
            Self::IntervalSeries {
                stamp,
                meter,
                unit,
                step_min,
                series,
            } => {
                stamp.encode(w)?;
                interval(w, *meter, *unit, *step_min, usize::from(series.count()))?;
                series.encode(w)
            }
            Self::IntervalGauges {
                stamp,
                meter,
                unit,
                step_min,
                gauges,
            } => {
                stamp.encode(w)?;
                interval(w, *meter, *unit, *step_min, gauges.marks().len())?;
                gauges.encode(w)
            }
            Self::Health {
                stamp,
                health: h,
                sends_total,
                uptime_s,
            } => {
                stamp.encode(w)?;
                health(w, h)?;
                w.u32(*sends_total);
                w.u32(*uptime_s);
                Ok(())
            }
            other => other.rare_body(w),
        }
    }

    fn rare_body(&self, w: &mut Writer) -> Encoded {
        match self {
            Self::ResidualGas {
                stamp,
                meter: m,
                level,
                register: r,
            } => {
                within(*level <= 3, "level")?;
                stamp.encode(w)?;
                meter(w, *m)?;
                w.u8(*level);
                w.u8(u8::from(r.is_some()) << 7);
                maybe_register(w, r.as_ref())
            }
            Self::MeterExchange {
                stamp,
                old,
                new,
                old_register,
                new_register,
            } => {
                stamp.encode(w)?;
                exchange(
                    w,
                    (*old, *new),
                    (old_register.as_ref(), new_register.as_ref()),
                )
            }
            Self::ClockChange {
                before,
                after,
                cause,
            } => {
                within((1..=3).contains(cause), "cause")?;
                before.encode(w)?;
                after.encode(w)?;
                w.u8(*cause);
                Ok(())
            }
            Self::OpaquePayload {
                stamp,
                maker,
                payload_type,
                payload,
            } => {
                stamp.encode(w)?;
                w.u16(*maker);
                w.u8(*payload_type);
                w.bytes(payload);
                Ok(())
            }
            Self::TerminalInfo {
                stamp,
                model,
                firmware,
                capabilities,
                zone,
            } => {
                within((-48..=56).contains(zone), "zone")?;
                stamp.encode(w)?;
                w.u16(*model);
                w.u32(*firmware);
                w.u16(*capabilities);
                w.bytes(&zone.to_be_bytes());
                Ok(())
            }
            _ => Err(EncodeError::BadValue("record")),
        }
    }

    /// The proof that it carries, if any.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        match self {
            Self::ValveState(v) => v.proof.as_ref(),
            Self::CommandResult(r) => r.proof.as_ref(),
            _ => None,
        }
    }

    /// The proof that it carries, to be filled in when the record gets its sequence.
    pub fn proof_mut(&mut self) -> Option<&mut Proof> {
        match self {
            Self::ValveState(v) => v.proof.as_mut(),
            Self::CommandResult(r) => r.proof.as_mut(),
            _ => None,
        }
    }
}
