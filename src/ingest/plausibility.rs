//! What looks wrong about a record, and what the next one is judged by. Nothing is ever dropped
//! for it: registers wrap, meters are exchanged, clocks jump, and a person decides.

use crate::model::RecordFlags;
use crate::model::step::Observation;
use crate::store::state::MeterTrack;
use crate::wire::otl::meter::{Meter, RegisterValue};
use crate::wire::otl::record::{Record, RecordBody};

use super::dating::{self, Dated, FrameTime};

/// How far ahead of the server's clock a measurement may lie, in seconds.
const AHEAD_MAX_S: u32 = 86_400;
/// How old a measurement may be, in seconds: 400 days, a year with its backlog.
const AGE_MAX_S: u32 = 34_560_000;

/// The meters of a terminal as they were seen before this record, of this frame too.
#[derive(Clone, Debug, Default)]
pub struct KnownMeters {
    tracks: Vec<MeterTrack>,
}

impl KnownMeters {
    /// Adds what state has of a meter.
    pub fn know(&mut self, track: MeterTrack) {
        self.tracks.push(track);
    }

    /// Whether the meter was asked for already.
    #[must_use]
    pub fn has(&self, meter: u8) -> bool {
        self.tracks.iter().any(|track| track.meter == meter)
    }

    fn get(&self, meter: u8) -> Option<&MeterTrack> {
        self.tracks.iter().find(|track| track.meter == meter)
    }

    fn take(&mut self, seen: &Observation) {
        let known = self.tracks.iter_mut().find(|one| one.meter == seen.meter);
        if let Some(track) = known {
            track.take(seen);
        } else {
            let mut track = MeterTrack::default();
            track.take(seen);
            self.tracks.push(track);
        }
    }
}

/// What a record says of a meter.
#[derive(Clone, Copy, Debug, Default)]
struct Says {
    meter: Option<Meter>,
    value: Option<RegisterValue>,
    binds: bool,
}

/// Which meter a record is about, none for one about the terminal.
#[must_use]
pub fn meter_of(record: &Record) -> Option<Meter> {
    says(&record.body).meter
}

fn says(body: &RecordBody) -> Says {
    let about = |meter, value| Says {
        meter: Some(meter),
        value,
        binds: false,
    };
    match body {
        RecordBody::Everyday(record) => {
            let parts = record.parts();
            let value = record.daily_register().map(|register| RegisterValue {
                unit: parts.unit,
                register,
            });
            about(parts.meter, value)
        }
        RecordBody::RegisterReading(record) => about(record.meter, Some(record.value)),
        RecordBody::AlarmNotice(record) => about(record.meter, record.register),
        RecordBody::IntervalSeries(record) => about(record.meter, None),
        RecordBody::IntervalGauges(record) => about(record.meter, None),
        RecordBody::ValveState(record) => about(record.meter, None),
        RecordBody::ResidualGas(record) => about(record.meter, None),
        RecordBody::CommandResult(record) => about(record.meter, None),
        RecordBody::MeterExchange(record) => Says {
            meter: Some(record.new_meter()),
            value: record.new_register(),
            binds: true,
        },
        RecordBody::MeterTable(record) => Says {
            meter: Some(record.meter),
            value: None,
            binds: true,
        },
        RecordBody::Health(_)
        | RecordBody::ClockChange(_)
        | RecordBody::OpaquePayload(_)
        | RecordBody::TerminalInfo(_)
        | RecordBody::Opaque(_) => Says::default(),
    }
}

/// Judges a record, and lets the meters know what it shows.
// spec: REC-4, REC-15, REC-27
pub fn judge(
    record: &Record,
    frame: &FrameTime,
    meters: &mut KnownMeters,
    observations: &mut Vec<Observation>,
) -> RecordFlags {
    let dated = dating::measured(record, frame);
    let mut flags = time_flags(dated, frame.received_utc_s);
    let says = says(&record.body);
    let Some(meter) = says.meter.map(Meter::octet) else {
        return flags;
    };
    let known = meters.get(meter);
    let is_bound = says.binds || known.is_some_and(|track| track.bound);
    flags = flags.with_if(RecordFlags::METER_UNBOUND, !is_bound);
    let at_utc_s = dated.map(|dated| dated.utc_s).filter(|at| *at != 0);
    // Nothing is measured later than now: what is a little ahead counts as of now, and what is far
    // ahead is not what later records are judged by, or it would spoil them until its day comes.
    let is_far_ahead = |at: &u32| is_ahead(*at, frame.received_utc_s);
    let seen_at_utc_s = at_utc_s.filter(|at| !is_far_ahead(at));
    let seen_at_utc_s = seen_at_utc_s.map(|at| at.min(frame.received_utc_s));
    if let (Some(value), Some(track), Some(at_utc_s)) = (says.value, known, at_utc_s) {
        flags = flags.with(register_flags(value, at_utc_s, track));
    }
    let seen = match (says.value, seen_at_utc_s) {
        (Some(value), Some(at_utc_s)) => Some(Observation {
            meter,
            unit: value.unit.code(),
            bound: says.binds,
            at_utc_s,
            register: value.register.get(),
        }),
        _ if says.binds => Some(Observation {
            meter,
            unit: 0,
            bound: true,
            at_utc_s: 0,
            register: 0,
        }),
        _ => None,
    };
    if let Some(seen) = seen {
        meters.take(&seen);
        note(observations, seen);
    }
    flags
}

/// Keeps one observation a meter: the latest, and whether any of them bound it.
fn note(observations: &mut Vec<Observation>, seen: Observation) {
    let same = observations.iter_mut().find(|one| one.meter == seen.meter);
    let Some(kept) = same else {
        observations.push(seen);
        return;
    };
    let bound = kept.bound || seen.bound;
    if (seen.at_utc_s, seen.register) > (kept.at_utc_s, kept.register) {
        *kept = seen;
    }
    kept.bound = bound;
}

const fn is_ahead(at_utc_s: u32, received_utc_s: u32) -> bool {
    at_utc_s > received_utc_s.saturating_add(AHEAD_MAX_S)
}

fn time_flags(dated: Option<Dated>, received_utc_s: u32) -> RecordFlags {
    let Some(dated) = dated else {
        return RecordFlags::default();
    };
    let is_ahead = is_ahead(dated.utc_s, received_utc_s);
    let is_old = dated.utc_s.saturating_add(AGE_MAX_S) < received_utc_s;
    RecordFlags::default()
        .with_if(RecordFlags::TIME_JUMPS, is_ahead || is_old)
        .with_if(RecordFlags::DATED_BY_SERVER, dated.by_server)
}

fn register_flags(value: RegisterValue, at_utc_s: u32, track: &MeterTrack) -> RecordFlags {
    if track.at_utc_s == 0 {
        return RecordFlags::default();
    }
    if value.unit.code() != track.unit {
        return RecordFlags::UNIT_CHANGED;
    }
    let register = value.register.get();
    // A late record must not lie above the register that came after it.
    let steps_back = if at_utc_s >= track.at_utc_s {
        register < track.register
    } else {
        register > track.register
    };
    RecordFlags::default().with_if(RecordFlags::REGISTER_STEPS_BACK, steps_back)
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;
    use crate::wire::otl::meter::{Register, Unit};
    use crate::wire::otl::record::{ReadingCause, RegisterReading};
    use crate::wire::otl::stamp::{Stamp, Uncertainty};

    const NOW_UTC_S: u32 = 1_793_404_800;

    fn stamp(utc_s: u32) -> Stamp {
        Stamp::Set {
            uncertainty: Uncertainty::from_seconds(2),
            utc_s,
        }
    }

    fn reading(at_utc_s: u32, unit: u8, register: u64) -> Record {
        Record {
            sequence: NonZeroU32::MIN,
            body: RecordBody::RegisterReading(RegisterReading {
                stamp: stamp(at_utc_s),
                meter: Meter::from_octet(0),
                cause: ReadingCause::from_code(1).unwrap(),
                value: RegisterValue {
                    unit: Unit::from_code(unit).unwrap(),
                    register: Register::new(register).unwrap(),
                },
            }),
        }
    }

    fn known(bound: bool) -> KnownMeters {
        let mut meters = KnownMeters::default();
        meters.know(MeterTrack {
            register: 1_000,
            at_utc_s: NOW_UTC_S - 86_400,
            unit: 0x13,
            meter: 0,
            bound,
            used: true,
        });
        meters
    }

    fn flags(record: &Record, mut meters: KnownMeters) -> Vec<&'static str> {
        let frame = FrameTime {
            report: stamp(NOW_UTC_S),
            received_utc_s: NOW_UTC_S,
        };
        judge(record, &frame, &mut meters, &mut Vec::new())
            .names()
            .collect()
    }

    // spec: REC-27
    #[test]
    fn what_looks_implausible_is_flagged_by_its_name() {
        let later = NOW_UTC_S - 10;
        let none: [&str; 0] = [];
        assert_eq!(flags(&reading(later, 0x13, 1_001), known(true)), none);
        let back = flags(&reading(later, 0x13, 999), known(true));
        assert_eq!(back, ["register_steps_back"]);
        let before = flags(&reading(NOW_UTC_S - 90_000, 0x13, 1_001), known(true));
        assert_eq!(before, ["register_steps_back"]);
        let unit = flags(&reading(later, 0x12, 10), known(true));
        assert_eq!(unit, ["unit_changed"]);
        let ahead = flags(&reading(NOW_UTC_S + 90_000, 0x13, 1_001), known(true));
        assert_eq!(ahead, ["time_jumps"]);
    }

    // spec: REC-27
    #[test]
    fn a_reading_from_the_future_spoils_none_of_those_that_follow() {
        let frame = FrameTime {
            report: stamp(NOW_UTC_S),
            received_utc_s: NOW_UTC_S,
        };
        let none: [&str; 0] = [];
        for ahead_s in [60, 7_200, 90_000, 5 * 365 * 86_400] {
            let (mut meters, mut seen) = (known(true), Vec::new());
            let future = reading(NOW_UTC_S + ahead_s, 0x12, 999_999);
            judge(&future, &frame, &mut meters, &mut seen);
            assert!(seen.iter().all(|one| one.at_utc_s <= NOW_UTC_S));
            let later = FrameTime {
                report: stamp(NOW_UTC_S + 86_400),
                received_utc_s: NOW_UTC_S + 86_400,
            };
            let next = reading(NOW_UTC_S + 86_000, 0x13, 1_010);
            judge(&next, &later, &mut meters, &mut seen);
            let after = reading(NOW_UTC_S + 86_100, 0x13, 1_011);
            let flags: Vec<_> = judge(&after, &later, &mut meters, &mut seen)
                .names()
                .collect();
            assert_eq!(flags, none, "{ahead_s}");
        }
    }

    // spec: REC-15
    #[test]
    fn a_reading_of_a_meter_that_no_table_bound_is_flagged() {
        let reading = reading(NOW_UTC_S, 0x13, 1_001);
        assert_eq!(flags(&reading, known(false)), ["meter_unbound"]);
        let unknown = flags(&reading, KnownMeters::default());
        assert_eq!(unknown, ["meter_unbound"]);
    }
}
