//! Arbitrary values of the link, for properties.

use core::num::NonZeroU32;

use proptest::prelude::*;

use crate::wire::otl::answer::{Answer, AnswerFlags, AnswerItem, ComeBack, UnknownItem, WakeSlot};
use crate::wire::otl::command::CommandItem;
use crate::wire::otl::gauges::Gauges;
use crate::wire::otl::health::{Health, HealthParts, ResetCause};
use crate::wire::otl::ident::{FrameCounter, KeyVersion};
use crate::wire::otl::limits::REGISTER_MAX;
use crate::wire::otl::meter::{Meter, Register, RegisterValue, Unit};
use crate::wire::otl::record::alarm::FlowCategory;
use crate::wire::otl::record::{
    Alarm, AlarmNotice, AlarmState, Alarms, ClockCause, ClockChange, CommandResult, Digits,
    Everyday, EverydayParts, GasLevel, HealthReport, IntervalGauges, IntervalSeries, Mac,
    MeterExchange, MeterTable, OpaquePayload, OpaqueRecord, Proof, ReadingCause, Record,
    RecordBody, RegisterReading, ResidualGas, ResultData, StepMinutes, TerminalInfo, ValveCause,
    ValveReport,
};
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::commands::{CommandKind, Outcome, Precondition};
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::report::{CommandEnd, Report, Slots};
use crate::wire::otl::series::{Segment, SegmentReason, Series};
use crate::wire::otl::stamp::{Stamp, Uncertainty};
use crate::wire::otl::text::{Panel, Serial};
use crate::wire::otl::uplink::{SessionItem, SessionItems, UnknownSessionItem, UplinkBody};

fn one_of<T: Clone + core::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn nonzero() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![1..200_u32, 1..=u32::MAX].prop_map(|number| NonZeroU32::new(number).unwrap())
}

fn some_octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=max)
}

fn stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![
        (0..=127_u8, any::<u32>()).prop_map(|(code, utc_s)| Stamp::Set {
            uncertainty: Uncertainty::from_code(code).unwrap(),
            utc_s,
        }),
        (any::<u32>(), any::<u16>()).prop_map(|(uptime_s, boot)| Stamp::Unset { uptime_s, boot }),
    ]
}

fn meter() -> impl Strategy<Value = Meter> {
    any::<u8>().prop_map(Meter::from_octet)
}

fn unit() -> impl Strategy<Value = Unit> {
    any::<u8>().prop_filter_map("an unassigned class", Unit::from_code)
}

fn register() -> impl Strategy<Value = Register> {
    prop_oneof![0..5_000_000_u64, 0..=REGISTER_MAX, Just(REGISTER_MAX)]
        .prop_map(|value| Register::new(value).unwrap())
}

fn register_value() -> impl Strategy<Value = RegisterValue> {
    (unit(), register()).prop_map(|(unit, register)| RegisterValue { unit, register })
}

fn valve() -> impl Strategy<Value = ValveState> {
    one_of(ValveState::ALL)
}

const STEP_MAX: u64 = crate::wire::otl::limits::STEP_MAX as u64;

/// A series of `count` marks: steps, and at some marks a gap or a break.
pub(super) fn series(count: u8) -> impl Strategy<Value = Series> {
    let step = prop_oneof![
        4 => Just(0_u64),
        4 => 0..200_u64,
        1 => 0..=STEP_MAX,
    ];
    let mark = (
        step,
        prop_oneof![8 => Just(0_u8), 1 => 1..7_u8, 1 => Just(7_u8)],
    );
    let marks = prop::collection::vec(mark, usize::from(count));
    (register(), marks).prop_filter_map("nothing measured", move |(start, marks)| {
        let mut value = start.get();
        let mut parts: Vec<(SegmentReason, u8, Vec<Register>)> = Vec::new();
        let mut gap = true;
        for (index, (step, event)) in marks.into_iter().enumerate() {
            let mark = u8::try_from(index).unwrap() + 1;
            if event == 7 {
                gap = true;
                continue;
            }
            value = if event > 0 || value + step > REGISTER_MAX {
                step
            } else {
                value + step
            };
            let register = Register::new(value).unwrap();
            let breaks = event > 0
                || parts
                    .last()
                    .is_some_and(|last| last.2.last() > Some(&register));
            if gap || breaks {
                let code = if gap { event % 7 } else { event.max(1) };
                let reason = SegmentReason::from_code(code).unwrap();
                parts.push((reason, mark, vec![register]));
            } else if let Some(last) = parts.last_mut() {
                last.2.push(register);
            }
            gap = false;
        }
        if let [(reason, _, registers)] = parts.as_mut_slice()
            && registers.len() == usize::from(count)
        {
            *reason = SegmentReason::Start;
        }
        let segments: Vec<Segment<'_>> = parts
            .iter()
            .map(|(reason, first_mark, registers)| Segment {
                reason: *reason,
                first_mark: *first_mark,
                registers,
            })
            .collect();
        (!segments.is_empty()).then(|| Series::new(count, &segments).unwrap())
    })
}

/// Gauges of `count` marks.
pub(super) fn gauges(count: u8) -> impl Strategy<Value = Gauges> {
    let value =
        prop_oneof![6 => (270..290_u16).prop_map(Some), 1 => (0..=65_533_u16).prop_map(Some)];
    let gappy = prop_oneof![1 => Just(None), 6 => value.clone()];
    let len = usize::from(count);
    prop_oneof![
        prop::collection::vec(value, len),
        prop::collection::vec(gappy, len)
    ]
    .prop_filter_map("nothing measured", |values| Gauges::new(&values).ok())
}

fn health() -> impl Strategy<Value = Health> {
    (
        prop::option::of(0..=254_u8),
        prop::option::of(0..=100_u8),
        prop::option::of(0..=254_u8),
        prop::option::of(-127..=127_i8),
        prop::option::of(-127..=127_i8),
        0..=15_u8,
        one_of(ResetCause::ALL),
    )
        .prop_map(
            |(battery, remaining, rsrp, snr, temperature, sends, reset_cause)| {
                Health::new(HealthParts {
                    battery_20mv: battery,
                    remaining_percent: remaining,
                    rsrp_minus_dbm: rsrp,
                    snr_db: snr,
                    temperature_degc: temperature,
                    sends,
                    reset_cause,
                })
                .unwrap()
            },
        )
}

fn everyday() -> impl Strategy<Value = RecordBody> {
    (
        (valve(), meter(), unit(), any::<u16>()),
        prop::option::of(register()),
        prop::option::of(series(24)),
        prop::option::of(gauges(24)),
        prop::option::of(health()),
    )
        .prop_map(
            |((valve, meter, unit, day), explicit, registers, pressures, health)| {
                let has_24 = registers
                    .as_ref()
                    .is_some_and(|series| series.at(24).is_some());
                RecordBody::Everyday(
                    Everyday::new(EverydayParts {
                        valve,
                        meter,
                        unit,
                        day,
                        explicit_register: explicit.filter(|_| !has_24),
                        hourly_registers: registers,
                        hourly_pressures: pressures,
                        health,
                    })
                    .unwrap(),
                )
            },
        )
}

fn step_minutes() -> impl Strategy<Value = StepMinutes> {
    (1..=1_440_u16).prop_map(|minutes| StepMinutes::new(minutes).unwrap())
}

fn readings() -> impl Strategy<Value = RecordBody> {
    prop_oneof![
        (
            stamp(),
            meter(),
            one_of(ReadingCause::ALL),
            register_value()
        )
            .prop_map(|(stamp, meter, cause, value)| RecordBody::RegisterReading(
                RegisterReading {
                    stamp,
                    meter,
                    cause,
                    value,
                }
            )),
        (
            stamp(),
            meter(),
            unit(),
            step_minutes(),
            (1..=250_u8).prop_flat_map(series)
        )
            .prop_map(
                |(stamp, meter, unit, step, series)| RecordBody::IntervalSeries(IntervalSeries {
                    stamp,
                    meter,
                    unit,
                    step,
                    series,
                })
            ),
        (
            stamp(),
            meter(),
            unit(),
            step_minutes(),
            (1..=250_u8).prop_flat_map(gauges)
        )
            .prop_map(
                |(stamp, meter, unit, step, gauges)| RecordBody::IntervalGauges(IntervalGauges {
                    stamp,
                    meter,
                    unit,
                    step,
                    gauges,
                })
            ),
        (
            stamp(),
            meter(),
            one_of(GasLevel::ALL),
            prop::option::of(register_value())
        )
            .prop_map(|(stamp, meter, level, remaining)| RecordBody::ResidualGas(
                ResidualGas {
                    stamp,
                    meter,
                    level,
                    remaining,
                }
            )),
    ]
}

fn alarm_notice() -> impl Strategy<Value = RecordBody> {
    let alarm = (any::<u8>(), one_of(AlarmState::ALL), any::<[u8; 2]>()).prop_map(
        |(code, state, characters)| Alarm {
            alarm: AlarmCode::from_code(code),
            state,
            code: characters,
        },
    );
    (
        (stamp(), meter(), any::<bool>(), valve()),
        prop::option::of(0x20..=0x7E_u8),
        prop::option::of(register_value()),
        prop::collection::vec(0x20..=0x7E_u8, 0..=8),
        prop::collection::vec(alarm, 1..=6),
    )
        .prop_map(
            |((stamp, meter, snapshot, valve), category, register, panel, alarms)| {
                RecordBody::AlarmNotice(AlarmNotice {
                    stamp,
                    meter,
                    snapshot,
                    valve,
                    flow_category: category.and_then(FlowCategory::new),
                    register,
                    panel: Panel::new(&panel).unwrap(),
                    alarms: Alarms::new(&alarms).unwrap(),
                })
            },
        )
}

fn proof() -> impl Strategy<Value = Option<Proof>> {
    prop::option::of(
        (1..=255_u8, any::<[u8; 16]>()).prop_map(|(version, mac)| Proof {
            key_version: KeyVersion::new(version).unwrap(),
            mac: Mac(mac),
        }),
    )
}

fn results() -> impl Strategy<Value = RecordBody> {
    prop_oneof![
        (
            stamp(),
            meter(),
            valve(),
            one_of(ValveCause::ALL),
            any::<u32>(),
            proof()
        )
            .prop_map(|(stamp, meter, valve, cause, command, proof)| {
                RecordBody::ValveState(ValveReport {
                    stamp,
                    meter,
                    valve,
                    cause,
                    command,
                    proof,
                })
            }),
        (
            (
                stamp(),
                any::<u32>(),
                any::<u8>(),
                meter(),
                valve(),
                any::<u8>()
            ),
            some_octets(64),
            proof(),
        )
            .prop_map(
                |((stamp, command, kind, meter, valve, outcome), data, proof)| {
                    RecordBody::CommandResult(CommandResult {
                        stamp,
                        command,
                        kind: CommandKind::from_code(kind),
                        meter,
                        valve,
                        outcome: Outcome::from_code(outcome),
                        data: ResultData::new(data).unwrap(),
                        proof,
                    })
                }
            ),
    ]
}

fn meters() -> impl Strategy<Value = RecordBody> {
    prop_oneof![
        (
            stamp(),
            (meter(), 1..=15_u8),
            prop::option::of(register_value()),
            prop::option::of(register_value()),
        )
            .prop_map(|(stamp, (old, next), old_register, new_register)| {
                let new = Meter::new(old.slot(), (old.generation() + next) % 16).unwrap();
                RecordBody::MeterExchange(
                    MeterExchange::new(stamp, old, new, old_register, new_register).unwrap(),
                )
            }),
        (
            (stamp(), meter(), any::<u8>(), unit(), 1..=14_u8),
            prop::collection::vec(0x20..=0x7E_u8, 1..=16),
        )
            .prop_map(|((stamp, meter, medium, unit, digits), serial)| {
                RecordBody::MeterTable(MeterTable {
                    stamp,
                    meter,
                    medium,
                    unit,
                    digits: Digits::new(digits).unwrap(),
                    serial: Serial::new(&serial).unwrap(),
                })
            }),
    ]
}

fn of_the_terminal() -> impl Strategy<Value = RecordBody> {
    prop_oneof![
        (stamp(), health(), any::<u32>(), any::<u32>()).prop_map(
            |(stamp, health, sends_total, uptime_s)| RecordBody::Health(HealthReport {
                stamp,
                health,
                sends_total,
                uptime_s,
            })
        ),
        (stamp(), stamp(), one_of(ClockCause::ALL)).prop_map(|(before, after, cause)| {
            RecordBody::ClockChange(ClockChange {
                before,
                after,
                cause,
            })
        }),
        (stamp(), any::<u16>(), any::<u8>(), some_octets(90)).prop_map(
            |(stamp, maker, payload_type, octets)| RecordBody::OpaquePayload(OpaquePayload {
                stamp,
                maker,
                payload_type,
                octets,
            })
        ),
        (
            stamp(),
            any::<u16>(),
            any::<u32>(),
            any::<u16>(),
            any::<i8>()
        )
            .prop_map(
                |(stamp, model, firmware, capabilities, zone_quarter_hours)| {
                    RecordBody::TerminalInfo(TerminalInfo {
                        stamp,
                        model,
                        firmware,
                        capabilities,
                        zone_quarter_hours,
                    })
                }
            ),
        (0x0F..=0x6F_u8, any::<bool>(), some_octets(300)).prop_map(|(number, critical, octets)| {
            RecordBody::Opaque(OpaqueRecord::new(number, critical, octets).unwrap())
        }),
    ]
}

/// Any record.
pub(super) fn record() -> impl Strategy<Value = Record> {
    let body = prop_oneof![
        3 => everyday(),
        4 => readings(),
        2 => alarm_notice(),
        2 => results(),
        2 => meters(),
        4 => of_the_terminal(),
    ];
    (nonzero(), body).prop_map(|(sequence, body)| Record { sequence, body })
}

/// Any report.
pub(super) fn report() -> impl Strategy<Value = Report> {
    (
        stamp(),
        nonzero(),
        (0..=15_u8, 0..=15_u8),
        prop::option::of((nonzero(), any::<u8>())),
    )
        .prop_map(|(stamp, epoch, (version, following), command)| Report {
            stamp,
            epoch,
            slots: Slots::new(version, following).unwrap(),
            command: command.map(|(sequence, outcome)| CommandEnd {
                sequence,
                outcome: Outcome::from_code(outcome),
            }),
        })
}

/// Any plaintext of an UPLINK. Longer than a frame may be.
pub(super) fn uplink_body() -> impl Strategy<Value = UplinkBody> {
    let unknown = (0x73..=0x7E_u8, any::<bool>(), some_octets(9));
    let session = (
        prop::option::of(nonzero().prop_map(SessionItem::PreviousEpoch)),
        prop::option::of(any::<u8>().prop_map(SessionItem::AnswerRefused)),
        prop::option::of(unknown.prop_map(|(number, critical, octets)| {
            SessionItem::Unknown(UnknownSessionItem::new(number, critical, octets).unwrap())
        })),
    );
    (
        report(),
        prop::collection::vec(record(), 0..4),
        session,
        0..300_u16,
    )
        .prop_map(|(report, records, (one, two, three), padding)| {
            let session = [one, two, three].into_iter().flatten().collect();
            UplinkBody {
                report,
                records,
                session_items: SessionItems::new(session).unwrap(),
                padding,
            }
        })
}

fn command() -> impl Strategy<Value = CommandItem> {
    (
        (1..=255_u8, nonzero(), any::<u8>(), meter()),
        (any::<bool>(), 0..=127_u8, any::<u32>()),
        some_octets(150),
        any::<[u8; 16]>(),
    )
        .prop_map(
            |((version, sequence, kind, meter), (bound, condition, not_after), parameters, mac)| {
                CommandItem {
                    key_version: KeyVersion::new(version).unwrap(),
                    sequence,
                    kind: CommandKind::from_code(kind),
                    meter,
                    bound,
                    precondition: Precondition::from_code(condition).unwrap(),
                    not_after_utc_s: not_after,
                    parameters,
                    mac: Mac(mac),
                }
            },
        )
}

/// Any counter of a frame.
pub(super) fn counter() -> impl Strategy<Value = FrameCounter> {
    (1..=0xFFFF_0000_u32).prop_map(|counter| FrameCounter::new(counter).unwrap())
}

/// Items that any plaintext from the server may hold.
pub(super) fn plain_items() -> impl Strategy<Value = Vec<AnswerItem>> {
    let unknown = (8..=0x7E_u8, some_octets(20));
    (
        prop::option::of(
            (1..=21_600_u16)
                .prop_map(|units| AnswerItem::ComeBack(ComeBack::from_units(units).unwrap())),
        ),
        prop::option::of((1..=15_u8, 0..86_400_u32).prop_map(|(version, second)| {
            AnswerItem::Slot(WakeSlot::new(version, second).unwrap())
        })),
        prop::option::of(unknown.prop_map(|(number, octets)| {
            AnswerItem::Unknown(UnknownItem::new(number, octets).unwrap())
        })),
    )
        .prop_map(|(one, two, three)| [one, two, three].into_iter().flatten().collect())
}

/// Any plaintext of an ANSWER.
pub(super) fn answer() -> impl Strategy<Value = Answer> {
    (
        (any::<[bool; 5]>(), any::<u16>()),
        plain_items(),
        prop::option::of(counter().prop_map(AnswerItem::Floor)),
        prop::collection::vec(command().prop_map(AnswerItem::Command), 0..3),
    )
        .prop_filter_map(
            "a contradiction",
            |(([ack, is_final, more, new_epoch, unproven], map), items, floor, commands)| {
                let flags = AnswerFlags {
                    ack,
                    is_final,
                    more,
                    new_epoch,
                    unproven,
                };
                let items = [items, floor.into_iter().collect(), commands].concat();
                Answer::new(flags, map, items).ok()
            },
        )
}
