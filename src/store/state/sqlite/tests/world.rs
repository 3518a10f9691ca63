//! Logs that are only in tests: what happens, as frames.

use core::num::NonZeroU32;
use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::keyring::{LinkKeyring, UtilityId};
use crate::model::event::{TerminalEntry, UtilityEntry};
use crate::model::step::{DECODER_VERSION, Observation};
use crate::model::{Event, RecordFlags, SessionStep, StepEntry, StepFlags, records_of};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP};
use crate::store::state::{MeterTrack, State};
use crate::wire::otl::health::{HealthParts, ResetCause};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::limits::FRAME_MAX;
use crate::wire::otl::meter::{Meter, Register, RegisterValue, Unit};
use crate::wire::otl::record::{
    Alarm, AlarmNotice, AlarmState, Alarms, Digits, Everyday, EverydayParts, HealthReport,
    MeterExchange, MeterTable, ReadingCause, Record, RecordBody, RegisterReading, ValveCause,
    ValveReport,
};
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::report::{Report, Slots};
use crate::wire::otl::stamp::{Stamp, Uncertainty};
use crate::wire::otl::text::{Panel, Serial};
use crate::wire::otl::uplink::{SessionItems, UplinkBody};
use crate::wire::writer::Writer;

pub(super) const TERMINALS: u8 = 4;
pub(super) const NOON: u32 = 1_793_404_800;
const UTILITY: [u8; 8] = *b"gasworks";

pub(super) fn terminal(number: u8) -> TerminalId {
    // The upper bit is set in some of them: keys of the tables are signed.
    TerminalId::new([(number % 2) << 7, 7, 0, 0, 0, 0, 0, number % TERMINALS])
}

/// A frame of a log.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) lsn: Lsn,
    pub(super) kind: u8,
    pub(super) terminal: Option<TerminalId>,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn next(&self) -> Lsn {
        self.lsn.saturating_add(24 + self.payload.len() as u64)
    }

    pub(super) fn to_fold(&self) -> FoldFrame<'_> {
        FoldFrame {
            lsn: self.lsn,
            kind: self.kind,
            terminal: self.terminal,
            payload: &self.payload,
            raises_version: false,
        }
    }
}

/// Something that becomes a frame.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Event(Event),
    /// A terminal's records, with what is not new.
    Step {
        terminal: TerminalId,
        received_utc_s: u32,
        counter: u32,
        epoch: NonZeroU32,
        promoted: Option<u8>,
        records: Vec<(u32, RecordBody, RecordFlags)>,
    },
}

impl Happening {
    pub(super) const fn is_records(&self) -> bool {
        matches!(self, Self::Step { .. })
    }
}

pub(super) fn frames_of(happenings: &[Happening]) -> Vec<Frame> {
    let mut at = Lsn::new(64);
    let mut frames = Vec::new();
    for happening in happenings {
        let (kind, terminal, payload) = match happening {
            Happening::Event(event) => (KIND_EVENT, event.terminal(), event.encode().unwrap()),
            Happening::Step { terminal, .. } => (KIND_STEP, Some(*terminal), step(happening, at)),
        };
        let frame = Frame {
            lsn: at,
            kind,
            terminal,
            payload,
        };
        at = frame.next();
        frames.push(frame);
    }
    frames
}

fn step(happening: &Happening, at: Lsn) -> Vec<u8> {
    let Happening::Step {
        terminal,
        received_utc_s,
        counter,
        epoch,
        promoted,
        records,
    } = happening
    else {
        panic!("an event");
    };
    let body = UplinkBody {
        report: Report {
            stamp: stamp(*received_utc_s),
            epoch: *epoch,
            slots: Slots::new(0, 0).unwrap(),
            command: None,
        },
        records: records
            .iter()
            .map(|(sequence, body, _)| Record {
                sequence: NonZeroU32::new(*sequence).unwrap(),
                body: body.clone(),
            })
            .collect(),
        session_items: SessionItems::default(),
        padding: 0,
    };
    let mut plaintext = Vec::new();
    let mut writer = Writer::new(&mut plaintext, FRAME_MAX);
    body.encode(Mode::CcmStatic, &mut writer).unwrap();
    let entries = records.iter().map(|(sequence, body, flags)| StepEntry {
        sequence: *sequence,
        number: body.number(),
        flags: *flags,
    });
    let mut step = SessionStep {
        utility: UtilityId::new(UTILITY),
        mode: 1,
        kept: 0,
        flags: StepFlags::TAKES_REPORT
            .with_if(StepFlags::NEW_EPOCH, received_utc_s.is_multiple_of(2)),
        received_utc_s: *received_utc_s,
        counter: *counter,
        digest: [0; 4],
        promoted_version: *promoted,
        promoted_mode: None,
        decoder: DECODER_VERSION,
        epoch: Some(*epoch),
        entries: entries.collect(),
        command: &[],
        observations: Vec::new(),
        header: &[0; 22],
        plaintext: &plaintext,
    };
    step.observations = observations(at, *terminal, &step);
    step.encode().unwrap()
}

/// What ingest notes of meters, as the judge of plausibility does.
fn observations(at: Lsn, terminal: TerminalId, step: &SessionStep<'_>) -> Vec<Observation> {
    let mut seen = Vec::new();
    let lanes = crate::model::Lanes::ALARM.with(crate::model::Lanes::BULK);
    records_of(at, terminal, step, lanes, Zone::JAPAN, |record| {
        let crate::model::record::Content::Decoded(decoded) = record.content else {
            return;
        };
        let measured = record.measured.map_or(0, |measured| measured.utc_s);
        let (meter, value, bound) = match &decoded.body {
            RecordBody::Everyday(day) => {
                let unit = day.parts().unit;
                let register = day.daily_register();
                let value = register.map(|register| RegisterValue { unit, register });
                (day.parts().meter, value, false)
            }
            RecordBody::RegisterReading(one) => (one.meter, Some(one.value), false),
            RecordBody::AlarmNotice(one) => (one.meter, one.register, false),
            RecordBody::MeterExchange(one) => (one.new_meter(), one.new_register(), true),
            RecordBody::MeterTable(one) => (one.meter, None, true),
            _ => return,
        };
        if value.is_some() || bound {
            seen.push(Observation {
                meter: meter.octet(),
                unit: value.map_or(0, |value| value.unit.code()),
                bound,
                at_utc_s: value.map_or(0, |_| measured),
                register: value.map_or(0, |value| value.register.get()),
            });
        }
    })
    .unwrap();
    seen
}

fn stamp(utc_s: u32) -> Stamp {
    Stamp::Set {
        uncertainty: Uncertainty::from_seconds(2),
        utc_s,
    }
}

fn value(register: u64) -> RegisterValue {
    RegisterValue {
        unit: Unit::from_code(0x13).unwrap(),
        register: Register::new(register).unwrap(),
    }
}

fn meter(number: u8) -> Meter {
    Meter::new(number % 2, 0).unwrap()
}

fn notice(at: u32, of: u8, alarms: &[(u8, AlarmState, [u8; 2])], register: u64) -> RecordBody {
    let alarms: Vec<Alarm> = alarms
        .iter()
        .map(|(alarm, state, code)| Alarm {
            alarm: AlarmCode::from_code(*alarm),
            state: *state,
            code: *code,
        })
        .collect();
    RecordBody::AlarmNotice(AlarmNotice {
        stamp: stamp(at),
        meter: meter(of),
        snapshot: false,
        valve: ValveState::ClosedByMeter,
        flow_category: None,
        register: Some(value(register)),
        panel: Panel::new(b"C").unwrap(),
        alarms: Alarms::new(&alarms).unwrap(),
    })
}

fn health(battery_20mv: u8) -> crate::wire::otl::health::Health {
    let parts = HealthParts {
        battery_20mv: Some(battery_20mv),
        remaining_percent: Some(80),
        rsrp_minus_dbm: Some(90),
        snr_db: None,
        temperature_degc: Some(21),
        sends: 1,
        reset_cause: ResetCause::Power,
    };
    crate::wire::otl::health::Health::new(parts).unwrap()
}

fn everyday(at: u32, of: u8, register: u64) -> RecordBody {
    let parts = EverydayParts {
        valve: ValveState::Open,
        meter: meter(of),
        unit: Unit::from_code(0x13).unwrap(),
        day: u16::try_from(at / 86_400).unwrap(),
        explicit_register: Some(Register::new(register).unwrap()),
        hourly_registers: None,
        hourly_pressures: None,
        health: Some(health(180)),
    };
    RecordBody::Everyday(Everyday::new(parts).unwrap())
}

fn table(at: u32, of: u8, serial: &[u8]) -> RecordBody {
    RecordBody::MeterTable(MeterTable {
        stamp: stamp(at),
        meter: meter(of),
        medium: 3,
        unit: Unit::from_code(0x13).unwrap(),
        digits: Digits::new(8).unwrap(),
        serial: Serial::new(serial).unwrap(),
    })
}

/// A record, by some octets.
fn body([kind, of, when, a]: [u8; 4]) -> RecordBody {
    let at = NOON + u32::from(when);
    let register = u64::from(a);
    let state = *[AlarmState::Raised, AlarmState::Cleared, AlarmState::Present]
        .get(usize::from(a % 3))
        .unwrap();
    match kind % 8 {
        0 => everyday(at + u32::from(when % 4) * 86_400, of, register),
        1 => RecordBody::RegisterReading(RegisterReading {
            stamp: stamp(at),
            meter: meter(of),
            cause: ReadingCause::Scheduled,
            value: value(register),
        }),
        2 | 3 => notice(at, of, &[(a % 5, state, [a, 0])], register),
        4 => RecordBody::ValveState(ValveReport {
            stamp: stamp(at),
            meter: meter(of),
            valve: ValveState::from_code(a % 10).unwrap(),
            cause: ValveCause::Local,
            command: 0,
            proof: None,
        }),
        5 => RecordBody::Health(HealthReport {
            stamp: stamp(at),
            health: health(a.min(200)),
            sends_total: 7,
            uptime_s: 9,
        }),
        6 => table(at, of, &[b'A' + a % 20]),
        _ => RecordBody::MeterExchange(
            MeterExchange::new(
                stamp(at),
                meter(of),
                Meter::new(of % 2, 1).unwrap(),
                None,
                (a % 2 == 0).then(|| value(register)),
            )
            .unwrap(),
        ),
    }
}

fn put(number: u8, mode: u8, customer: Option<String>) -> TerminalEntry {
    TerminalEntry {
        id: terminal(number),
        mode,
        customer,
    }
}

/// The utility, and its terminals.
pub(super) fn registration() -> Vec<Happening> {
    let id = UtilityId::new(UTILITY).to_string();
    let terminals = (0..TERMINALS).map(|one| put(one, 1, Some(format!("C-{one}"))));
    vec![
        Happening::Event(Event::UtilityPut(UtilityEntry {
            id: id.clone(),
            name: "Gas".to_owned(),
            allow_mode0: false,
        })),
        Happening::Event(Event::TerminalsPut {
            utility: id,
            terminals: terminals.collect(),
        }),
    ]
}

fn event([what, whom, a, b]: [u8; 4]) -> Event {
    let id = UtilityId::new(UTILITY).to_string();
    let terminal = terminal(whom);
    match what % 7 {
        0 => Event::TerminalsPut {
            utility: id,
            terminals: vec![put(whom, a % 4, (b % 2 == 0).then(|| format!("C-{b}")))],
        },
        1 => Event::TerminalRemoved { terminal },
        2 => Event::KeyReadmitted {
            terminal,
            version: a,
        },
        3 => Event::CounterCloned {
            terminal,
            counter: u32::from(a),
        },
        4 => Event::Promoted {
            terminal,
            version: Some(a),
            mode: None,
        },
        5 => Event::SinkAdvanced {
            sink: "cloud".to_owned(),
            alarm: Lsn::new(u64::from(a)),
            bulk: Lsn::new(u64::from(b)),
        },
        _ => Event::SinkSkipped {
            sink: "cloud".to_owned(),
            from: Lsn::ZERO,
            to: Lsn::new(u64::from(b)),
        },
    }
}

/// Registration, and then what comes.
pub(super) fn happenings(count: Range<usize>) -> impl Strategy<Value = Vec<Happening>> {
    let flags = prop_oneof![
        6 => Just(RecordFlags::default()),
        1 => Just(RecordFlags::REPEAT),
        1 => Just(RecordFlags::CONFLICT),
    ];
    let record = (1..2_000_u32, any::<[u8; 4]>().prop_map(body), flags);
    let step = (
        0..TERMINALS,
        any::<u16>(),
        1..5_000_u32,
        1..3_u32,
        proptest::option::weighted(0.1, 1..4_u8),
        proptest::collection::vec(record, 0..5),
    );
    let step = step.prop_map(
        |(whom, after, counter, epoch, promoted, records)| Happening::Step {
            terminal: terminal(whom),
            received_utc_s: NOON + u32::from(after),
            counter,
            epoch: NonZeroU32::new(epoch).unwrap(),
            promoted,
            records,
        },
    );
    let event = any::<[u8; 4]>().prop_map(|octets| Happening::Event(event(octets)));
    let one = prop_oneof![4 => step, 1 => event];
    proptest::collection::vec(one, count).prop_map(|some| {
        let mut all = registration();
        all.extend(some);
        all
    })
}

fn said(at: u32, records: Vec<RecordBody>) -> Happening {
    let numbered = (1..).zip(records);
    Happening::Step {
        terminal: terminal(0),
        received_utc_s: at,
        counter: at - NOON + 1,
        epoch: NonZeroU32::MIN,
        promoted: None,
        records: numbered
            .map(|(sequence, body)| (at - NOON + sequence, body, RecordFlags::default()))
            .collect(),
    }
}

/// A terminal with a meter, a reading, a shutoff by an earthquake, and alarms that nobody mapped.
pub(super) fn a_day() -> Vec<Happening> {
    use AlarmState::{Cleared, Raised};
    let mut all = registration();
    let quake = [
        (20, Raised, [0; 2]),
        (255, Raised, *b"A1"),
        (255, Raised, *b"B2"),
    ];
    all.extend([
        said(NOON, vec![table(NOON, 0, b"G-1234"), health_report(NOON)]),
        said(NOON + 60, vec![notice(NOON + 60, 0, &quake, 200)]),
        // Late: from before.
        said(NOON + 90, vec![everyday(NOON - 86_400, 0, 100)]),
        said(
            NOON + 120,
            vec![notice(NOON + 120, 0, &[(255, Cleared, *b"B2")], 200)],
        ),
    ]);
    all
}

fn health_report(at: u32) -> RecordBody {
    RecordBody::Health(HealthReport {
        stamp: stamp(at),
        health: health(180),
        sends_total: 7,
        uptime_s: 9,
    })
}

/// What is in memory after these frames.
pub(super) fn state_of(frames: &[Frame]) -> State {
    let state = State::new(LinkKeyring::default());
    for frame in frames {
        state.fold(&frame.to_fold()).unwrap();
        state.note_folded(frame.next());
    }
    state
}

pub(super) fn meters_of(state: &State, id: TerminalId) -> Option<Vec<MeterTrack>> {
    state.table.with(id, |entry| {
        let all = entry.all_meters().into_iter();
        all.filter(|track| track.used).collect()
    })
}

/// Terminals by number, registered in one event.
pub(super) fn put_many(numbers: Range<u64>) -> Event {
    Event::TerminalsPut {
        utility: UtilityId::new(UTILITY).to_string(),
        terminals: numbers
            .map(|number| TerminalEntry {
                id: TerminalId::new(number.to_be_bytes()),
                mode: 1,
                customer: None,
            })
            .collect(),
    }
}

/// The payload of an everyday step.
pub(super) fn everyday_step() -> Vec<u8> {
    step(
        &said(NOON, vec![everyday(NOON - 86_400, 0, 100)]),
        Lsn::ZERO,
    )
}
