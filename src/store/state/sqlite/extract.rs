//! What a record says, as facts.

use super::delta::Delta;
use super::facts::{AlarmSaid, Fact};
use super::meter_rows::{Latest, Mounted};
use super::rows::{HealthCells, Moment};
use crate::model::{OutwardRecord, RecordFlags, TerminalId};
use crate::wire::otl::health::Health;
use crate::wire::otl::meter::{Meter, RegisterValue};
use crate::wire::otl::record::{AlarmNotice, Record, RecordBody};
use crate::wire::otl::registry::valve::ValveState;

/// Alarm codes that stand for more than one alarm: the meter's own characters tell them apart.
const SHARED_ALARMS: [u8; 3] = [90, 91, 255];

impl Delta {
    pub(super) fn fold_record(&mut self, outward: &OutwardRecord<'_>, record: &Record) {
        let terminal = outward.terminal;
        let at = moment_of(outward);
        match &record.body {
            RecordBody::Everyday(day) => {
                let parts = day.parts();
                let value = day.daily_register().map(|register| RegisterValue {
                    unit: parts.unit,
                    register,
                });
                self.register(outward, parts.meter, value, false);
                self.valve(terminal, parts.meter, at, parts.valve);
                if let Some(health) = &parts.health {
                    self.add(terminal, Fact::Health(at, cells_of(health)));
                }
            }
            RecordBody::RegisterReading(reading) => {
                self.register(outward, reading.meter, Some(reading.value), false);
            }
            RecordBody::AlarmNotice(notice) => self.fold_notice(outward, at, notice),
            RecordBody::ValveState(report) => {
                self.valve(terminal, report.meter, at, report.valve);
            }
            RecordBody::Health(report) => {
                self.add(terminal, Fact::Health(at, cells_of(&report.health)));
            }
            RecordBody::MeterExchange(exchange) => {
                let meter = exchange.new_meter();
                self.add(terminal, Fact::Bound(meter.octet()));
                self.register(outward, meter, exchange.new_register(), true);
            }
            RecordBody::MeterTable(table) => {
                let mounted = Box::new(Mounted {
                    medium: Some(table.medium),
                    unit: Some(table.unit.code()),
                    digits: Some(table.digits.get()),
                    serial: Some(String::from_utf8_lossy(table.serial.as_bytes()).into_owned()),
                });
                self.add(terminal, Fact::Mounted(table.meter.octet(), at, mounted));
            }
            // A command that is about no meter tells of no valve.
            RecordBody::CommandResult(result) if result.valve != ValveState::Unknown => {
                self.valve(terminal, result.meter, at, result.valve);
            }
            _ => {}
        }
    }

    fn fold_notice(&mut self, outward: &OutwardRecord<'_>, at: Moment, notice: &AlarmNotice) {
        let (terminal, meter) = (outward.terminal, notice.meter);
        self.register(outward, meter, notice.register, false);
        self.valve(terminal, meter, at, notice.valve);
        for alarm in notice.alarms.as_slice() {
            let number = alarm.alarm.code();
            let is_shared = alarm.alarm.id().is_none() || SHARED_ALARMS.contains(&number);
            let said = AlarmSaid {
                meter: meter.octet(),
                alarm: number,
                code: if is_shared {
                    u16::from_be_bytes(alarm.code)
                } else {
                    0
                },
                state: alarm.state,
            };
            self.add(terminal, Fact::Alarm(at, said, outward.position));
        }
    }

    fn register(
        &mut self,
        outward: &OutwardRecord<'_>,
        meter: Meter,
        value: Option<RegisterValue>,
        binds: bool,
    ) {
        let measured = outward.measured.filter(|measured| measured.utc_s != 0);
        if let (Some(value), Some(measured)) = (value, measured) {
            let latest = Latest {
                measured_at_utc_s: measured.utc_s,
                register: value.register.get(),
                unit: value.unit.code(),
                received_utc_s: outward.received_utc_s,
                flags: outward.flags.bits(),
                position: outward.position,
            };
            self.add(
                outward.terminal,
                Fact::Register(meter.octet(), latest, binds),
            );
        }
    }

    fn valve(&mut self, terminal: TerminalId, meter: Meter, at: Moment, state: ValveState) {
        self.add(terminal, Fact::Valve(meter.octet(), at, state.code()));
    }
}

/// When something was so: when it was measured, or received if nobody knows or believes that. A
/// clock that is years ahead must not keep an alarm open for years.
fn moment_of(record: &OutwardRecord<'_>) -> Moment {
    let is_believed = !record.flags.has(RecordFlags::TIME_JUMPS);
    let measured = record.measured.filter(|_| is_believed);
    let at_utc_s = measured.map_or(record.received_utc_s, |measured| measured.utc_s);
    Moment {
        at_utc_s: at_utc_s.max(1),
        sequence: record.sequence,
    }
}

fn cells_of(health: &Health) -> HealthCells {
    HealthCells {
        battery_mv: health.battery_mv(),
        remaining_percent: health.remaining_percent(),
        rsrp_dbm: health.rsrp_dbm(),
        snr_db: health.snr_db(),
        temperature_degc: health.temperature_degc(),
        sends: Some(health.sends()),
        reset_cause: Some(health.reset_cause().code()),
    }
}
