//! The size of frames on the air, over a thousand seeded days.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/otl.rs"]
mod otl;

use std::collections::BTreeMap;
use std::str::FromStr;

use kenshin::wire::otl::answer::{Answer, AnswerFlags, AnswerItem, ComeBack, WakeSlot};
use kenshin::wire::otl::command::CommandItem;
use kenshin::wire::otl::gauges::Gauges;
use kenshin::wire::otl::header::{FrameKind, KeyVersion, Mode};
use kenshin::wire::otl::health::{Health, HealthParts, ResetCause};
use kenshin::wire::otl::limits::ROUTINE_MIN;
use kenshin::wire::otl::meter::{Meter, Register, Unit};
use kenshin::wire::otl::padding::{is_on_ladder, padded_len, padding_for, routine_size_after};
use kenshin::wire::otl::record::{Everyday, EverydayParts, Mac, Record, RecordBody};
use kenshin::wire::otl::registry::commands::{CommandKind, Outcome, Precondition};
use kenshin::wire::otl::registry::valve::ValveState;
use kenshin::wire::otl::report::{CommandEnd, Report, Slots};
use kenshin::wire::otl::series::{Segment, SegmentReason, Series};
use kenshin::wire::otl::stamp::{Stamp, Uncertainty};
use kenshin::wire::otl::uplink::UplinkBody;
use kenshin::wire::writer::Writer;

const SEALED: [Mode; 3] = [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession];

/// Octets of IPv4 and UDP headers.
const IPV4: usize = 28;
/// Octets of IPv6 and UDP headers.
const IPV6: usize = 48;

/// A row of a file of days.
struct Day {
    fields: BTreeMap<String, String>,
}

impl Day {
    fn text(&self, name: &str) -> &str {
        &self.fields[name]
    }

    fn number<T: FromStr<Err: std::fmt::Debug>>(&self, name: &str) -> T {
        self.text(name).parse().unwrap()
    }

    /// None for an empty field.
    fn option<T: FromStr<Err: std::fmt::Debug>>(&self, name: &str) -> Option<T> {
        let text = self.text(name);
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    fn report(&self) -> Report {
        let uncertainty = match self.option("uncertainty_s") {
            Some(seconds) => Uncertainty::from_seconds(seconds),
            None => Uncertainty::UNKNOWN,
        };
        let outcomes = (0..=u8::MAX).map(Outcome::from_code);
        let outcome = |id: &str| outcomes.clone().find(|o| o.id() == Some(id)).unwrap();
        let sequence: u32 = self.number("command");
        Report {
            stamp: Stamp::Set {
                uncertainty,
                utc_s: self.number("utc_s"),
            },
            epoch: self.number("epoch"),
            slots: Slots::new(self.number("wake_slot_version"), 0).unwrap(),
            command: sequence.try_into().ok().map(|sequence| CommandEnd {
                sequence,
                outcome: outcome(self.text("outcome")),
            }),
        }
    }

    /// Segments as `reason@first=start+step+step`, separated by semicolons.
    fn series(&self) -> Series {
        let parsed: Vec<(SegmentReason, u8, Vec<Register>)> = self
            .text("hourly_registers")
            .split(';')
            .map(|segment| {
                let (head, values) = segment.split_once('=').unwrap();
                let (reason, first) = head.split_once('@').unwrap();
                let mut total = 0;
                let registers = values.split('+').map(|step| {
                    total += step.parse::<u64>().unwrap();
                    Register::new(total).unwrap()
                });
                let reason = SegmentReason::from_code(reason.parse().unwrap()).unwrap();
                (reason, first.parse().unwrap(), registers.collect())
            })
            .collect();
        let segments: Vec<Segment<'_>> = parsed
            .iter()
            .map(|(reason, first_mark, registers)| Segment {
                reason: *reason,
                first_mark: *first_mark,
                registers,
            })
            .collect();
        Series::new(24, &segments).unwrap()
    }

    fn health(&self) -> Health {
        let of = |id: &str| {
            *ResetCause::ALL
                .iter()
                .find(|cause| cause.id() == id)
                .unwrap()
        };
        let battery_mv: u16 = self.number("battery_mv");
        let rsrp_dbm: i16 = self.number("rsrp_dbm");
        Health::new(HealthParts {
            battery_20mv: Some(u8::try_from(battery_mv / 20).unwrap()),
            remaining_percent: Some(self.number("remaining_percent")),
            rsrp_minus_dbm: Some(u8::try_from(-rsrp_dbm).unwrap()),
            snr_db: Some(self.number("snr_db")),
            temperature_degc: Some(self.number("temperature_degc")),
            sends: self.number("sends"),
            reset_cause: of(self.text("reset_cause")),
        })
        .unwrap()
    }

    fn body(&self) -> UplinkBody {
        let pressures = self.text("hourly_pressures").split(' ');
        let pressures: Vec<Option<u16>> = pressures.map(|text| text.parse().ok()).collect();
        let valve = |id: &str| {
            *ValveState::ALL
                .iter()
                .find(|state| state.id() == id)
                .unwrap()
        };
        let explicit: Option<u64> = self.option("daily_register");
        let record = Everyday::new(EverydayParts {
            valve: valve(self.text("valve")),
            meter: Meter::new(self.number("slot"), self.number("generation")).unwrap(),
            unit: Unit::from_code(self.number("unit")).unwrap(),
            day: self.number("day"),
            explicit_register: explicit.map(|value| Register::new(value).unwrap()),
            hourly_registers: Some(self.series()),
            hourly_pressures: Some(Gauges::new(&pressures).unwrap()),
            health: Some(self.health()),
        });
        UplinkBody {
            report: self.report(),
            records: vec![Record {
                sequence: self.number("sequence"),
                body: RecordBody::Everyday(record.unwrap()),
            }],
            session_items: Default::default(),
            padding: 0,
        }
    }

    /// Octets of its frame without padding.
    fn unpadded(&self, mode: Mode) -> usize {
        let (body, mut octets) = (self.body(), Vec::new());
        body.encode(mode, &mut Writer::new(&mut octets, 1_200))
            .unwrap();
        assert_eq!(UplinkBody::decode(&octets, 0, mode), Ok(body));
        FrameKind::Uplink.header_len(mode) + octets.len() + mode.tag_len()
    }
}

fn days(file: &str) -> Vec<Day> {
    let text = otl::read(file);
    let mut rows = text.lines();
    let names: Vec<&str> = rows.next().unwrap().split(',').collect();
    rows.map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(fields.len(), names.len(), "{row}");
        let pairs = names.iter().zip(fields);
        Day {
            fields: pairs
                .map(|(name, field)| ((*name).to_owned(), field.to_owned()))
                .collect(),
        }
    })
    .collect()
}

/// A size with the headers of the network below it.
fn on_the_air(octets: usize) -> String {
    format!("{octets} (IPv4 {}, IPv6 {})", octets + IPV4, octets + IPV6)
}

// spec: FRM-10
#[test]
fn a_thousand_days_are_within_the_budget() {
    let days = days("otl/days.csv");
    assert_eq!(days.len(), 1_000);
    for mode in SEALED {
        let mut sizes: Vec<usize> = days.iter().map(|day| day.unpadded(mode)).collect();
        sizes.sort_unstable();
        let (p50, p95, max) = (sizes[499], sizes[949], sizes[999]);
        println!(
            "mode {}: p50 {}, p95 {}, max {}",
            mode.number(),
            on_the_air(p50),
            on_the_air(p95),
            on_the_air(max)
        );
        if mode == Mode::GcmSession {
            assert!(max <= 148, "{max}");
        } else {
            assert!(p50 <= 105 && p95 <= 125 && max <= 140, "{p50} {p95} {max}");
        }
        let mut ladder = BTreeMap::new();
        for size in sizes {
            let padded = padded_len(size, ROUTINE_MIN).unwrap();
            assert_eq!(
                size + usize::from(padding_for(mode, size, ROUTINE_MIN).unwrap()),
                padded
            );
            assert!(
                is_on_ladder(padded) && matches!(padded, 128 | 192),
                "{padded}"
            );
            *ladder.entry(padded).or_insert(0) += 1;
        }
        for (padded, count) in ladder {
            println!("  padded to {}: {count} days", on_the_air(padded));
        }
    }
}

#[test]
fn the_worst_legal_day_is_within_the_budget() {
    for mode in SEALED {
        for day in days("otl/worst-day.csv") {
            let size = day.unpadded(mode);
            println!("mode {}: {}", mode.number(), on_the_air(size));
            assert!(size <= 200, "{size}");
        }
    }
}

/// The routine size that FRM-11 recommends for a terminal with one meter.
const fn recommended_routine(mode: Mode) -> usize {
    match mode {
        Mode::GcmSession => 192,
        Mode::Clear | Mode::CcmStatic | Mode::CcmSession => ROUTINE_MIN,
    }
}

// spec: FRM-11
#[test]
fn with_the_recommended_routine_size_no_day_tells_itself_from_another_by_its_length() {
    let days = days("otl/days.csv");
    for mode in SEALED {
        let routine = recommended_routine(mode);
        for day in &days {
            let padded = padded_len(day.unpadded(mode), routine).unwrap();
            assert_eq!(padded, routine, "{}: {}", mode.number(), day.text("class"));
            let grown = routine_size_after(routine, day.unpadded(mode)).unwrap();
            assert_eq!(grown, routine, "it never has to grow");
        }
        println!(
            "mode {}: routine size {}",
            mode.number(),
            on_the_air(routine)
        );
    }
}

fn answer_len(mode: Mode, items: Vec<AnswerItem>) -> usize {
    let flags = AnswerFlags {
        ack: true,
        is_final: items.is_empty(),
        ..AnswerFlags::default()
    };
    let answer = Answer::new(flags, 0xFFFF, items).unwrap();
    let mut octets = Vec::new();
    answer
        .encode(mode, &mut Writer::new(&mut octets, 1_200))
        .unwrap();
    FrameKind::Answer.header_len(mode) + octets.len() + mode.tag_len()
}

// spec: ANS-10
#[test]
fn answers_are_within_the_budget() {
    let come_back_and_slot = || {
        vec![
            AnswerItem::ComeBack(ComeBack::from_units(21_600).unwrap()),
            AnswerItem::Slot(WakeSlot::new(15, 86_399).unwrap()),
        ]
    };
    let valve_command = || {
        vec![AnswerItem::Command(CommandItem {
            key_version: KeyVersion::new(255).unwrap(),
            sequence: u32::MAX.try_into().unwrap(),
            kind: CommandKind::from_code(2),
            meter: Meter::new(15, 15).unwrap(),
            bound: true,
            precondition: Precondition::from_code(4).unwrap(),
            not_after_utc_s: u32::MAX,
            parameters: vec![0xFF; 2],
            mac: Mac([0xFF; 16]),
        })]
    };
    for mode in SEALED {
        let is_gcm = mode == Mode::GcmSession;
        for (what, items, limit) in [
            ("ack and time", vec![], if is_gcm { 40 } else { 32 }),
            ("come-back and slot", come_back_and_slot(), 48),
            ("one valve command", valve_command(), 72),
        ] {
            let len = answer_len(mode, items);
            println!(
                "mode {}: answer with {what}: {}",
                mode.number(),
                on_the_air(len)
            );
            assert!(len <= limit, "{what}: {len}");
        }
    }
}
