//! What the octets of each record mean.

use hex_literal::hex;

use crate::wire::otl::gauges::Gauges;
use crate::wire::otl::health::{Health, HealthParts, ResetCause};
use crate::wire::otl::ident::KeyVersion;
use crate::wire::otl::meter::{Meter, Register, RegisterValue, Unit};
use crate::wire::otl::record::alarm::FlowCategory;
use crate::wire::otl::record::{
    Alarm, AlarmNotice, AlarmState, Alarms, ClockCause, ClockChange, CommandResult, Digits,
    Everyday, EverydayParts, GasLevel, HealthReport, IntervalGauges, IntervalSeries, Mac,
    MeterExchange, MeterTable, OpaquePayload, Proof, ReadingCause, RecordBody, RegisterReading,
    ResidualGas, ResultData, StepMinutes, TerminalInfo, ValveCause, ValveReport,
};
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::commands::{CommandKind, Outcome};
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::series::{Segment, SegmentReason, Series};
use crate::wire::otl::stamp::{Stamp, Uncertainty};
use crate::wire::otl::text::{Panel, Serial};

use super::body_of;
use super::samples::{EVERYDAY, records};

fn stamp() -> Stamp {
    Stamp::Set {
        uncertainty: Uncertainty::from_seconds(2),
        utc_s: 0x6b36_ecf8,
    }
}

fn unset() -> Stamp {
    Stamp::Unset {
        uptime_s: 4_242,
        boot: 17,
    }
}

fn litre() -> Unit {
    Unit::from_code(0x15).unwrap()
}

fn register(value: u64) -> Register {
    Register::new(value).unwrap()
}

fn litres(value: u64) -> RegisterValue {
    RegisterValue {
        unit: litre(),
        register: register(value),
    }
}

fn meter(octet: u8) -> Meter {
    Meter::from_octet(octet)
}

fn whole(registers: &[u64]) -> Series {
    let registers: Vec<Register> = registers.iter().map(|value| register(*value)).collect();
    let segment = Segment {
        reason: SegmentReason::Start,
        first_mark: 1,
        registers: &registers,
    };
    Series::new(u8::try_from(registers.len()).unwrap(), &[segment]).unwrap()
}

fn mac() -> Option<Proof> {
    Some(Proof {
        key_version: KeyVersion::new(3).unwrap(),
        mac: Mac(hex!("000102030405060708090a0b0c0d0e0f")),
    })
}

/// The parts of a day of which nothing was measured.
fn empty_day() -> EverydayParts {
    EverydayParts {
        valve: ValveState::Open,
        meter: meter(0),
        unit: litre(),
        day: 20_818,
        explicit_register: None,
        hourly_registers: None,
        hourly_pressures: None,
        health: None,
    }
}

fn good_health() -> Health {
    Health::new(HealthParts {
        battery_20mv: Some(178),
        remaining_percent: Some(87),
        rsrp_minus_dbm: Some(104),
        snr_db: Some(7),
        temperature_degc: Some(9),
        sends: 1,
        reset_cause: ResetCause::Power,
    })
    .unwrap()
}

// spec: REC-17, REC-18, REC-19
#[test]
fn everyday_record_holds_a_day() {
    let RecordBody::Everyday(day) = body_of(0x01, EVERYDAY) else {
        panic!("an everyday record");
    };
    let registers = [
        1_234_567, 1_234_567, 1_234_567, 1_234_567, 1_234_567, 1_234_567, 1_234_598, 1_234_782,
        1_234_874, 1_234_886, 1_234_886, 1_234_894, 1_234_959, 1_235_000, 1_235_000, 1_235_000,
        1_235_006, 1_235_094, 1_235_307, 1_235_617, 1_235_891, 1_236_011, 1_236_059, 1_236_069,
    ];
    let pressures = [
        279, 279, 275, 276, 279, 279, 279, 278, 282, 278, 274, 274, 283, 280, 277, 284, 279, 279,
        284, 278, 280, 277, 279, 272,
    ];
    let parts = EverydayParts {
        hourly_registers: Some(whole(&registers)),
        hourly_pressures: Some(Gauges::new(&pressures.map(Some)).unwrap()),
        health: Some(good_health()),
        ..empty_day()
    };
    assert_eq!(day.parts(), &parts);
    assert_eq!(day.daily_register(), Some(register(1_236_069)));
    assert_eq!(day, Everyday::new(parts).unwrap());
}

// spec: REC-18, REC-19
#[test]
fn daily_register_stands_alone_where_no_hour_holds_it() {
    let RecordBody::Everyday(day) = body_of(0x01, "110015515287ad4b") else {
        panic!("an everyday record");
    };
    assert_eq!(day.parts().explicit_register, Some(register(1_234_567)));
    assert_eq!(day.daily_register(), Some(register(1_234_567)));
    let RecordBody::Everyday(day) = body_of(0x01, "0100155152") else {
        panic!("an everyday record");
    };
    assert_eq!(day, Everyday::new(empty_day()).unwrap());
    assert_eq!(day.daily_register(), None);
    // Zero is measured.
    let RecordBody::Everyday(day) = body_of(0x01, "110015515200") else {
        panic!("an everyday record");
    };
    assert_eq!(day.daily_register(), Some(register(0)));
}

// spec: REC-17, REC-18
#[test]
fn everyday_record_that_cannot_be_is_not_made() {
    let good = EverydayParts {
        hourly_registers: Some(whole(&[5; 24])),
        ..empty_day()
    };
    assert!(Everyday::new(good.clone()).is_ok());
    let both = EverydayParts {
        explicit_register: Some(register(5)),
        ..good.clone()
    };
    assert!(Everyday::new(both).is_err());
    let short = EverydayParts {
        hourly_registers: Some(whole(&[5; 23])),
        ..good.clone()
    };
    assert!(Everyday::new(short).is_err());
    let short = EverydayParts {
        hourly_pressures: Some(Gauges::new(&[Some(5); 23]).unwrap()),
        ..good
    };
    assert!(Everyday::new(short).is_err());
}

#[test]
fn readings_and_intervals_are_read() {
    let step = StepMinutes::new(30).unwrap();
    let registers = [register(10), register(11), register(0), register(0)];
    let (before, after) = registers.split_at(2);
    let wrapped = [
        Segment {
            reason: SegmentReason::Start,
            first_mark: 1,
            registers: before,
        },
        Segment {
            reason: SegmentReason::Wrapped,
            first_mark: 3,
            registers: after,
        },
    ];
    let series = |series| {
        RecordBody::IntervalSeries(IntervalSeries {
            stamp: stamp(),
            meter: meter(0),
            unit: litre(),
            step,
            series,
        })
    };
    let gauges = |values: &[Option<u16>]| {
        RecordBody::IntervalGauges(IntervalGauges {
            stamp: stamp(),
            meter: meter(0),
            unit: Unit::from_code(0x59).unwrap(),
            step: StepMinutes::new(60).unwrap(),
            gauges: Gauges::new(values).unwrap(),
        })
    };
    let mut gaps = [None; 9];
    (gaps[0], gaps[8]) = (Some(279), Some(279));
    let expected = [
        RecordBody::RegisterReading(RegisterReading {
            stamp: stamp(),
            meter: meter(0x10),
            cause: ReadingCause::Scheduled,
            value: litres(1_234_567),
        }),
        RecordBody::RegisterReading(RegisterReading {
            stamp: unset(),
            meter: meter(0x10),
            cause: ReadingCause::OnDemand,
            value: litres(10),
        }),
        series(whole(&[10, 11, 11])),
        series(Series::new(5, &wrapped).unwrap()),
        gauges(&[Some(279), Some(279)]),
        gauges(&gaps),
    ];
    check(&[0x02, 0x03, 0x04], &expected);
}

#[test]
fn residual_gas_is_read() {
    let gas = |level, remaining| {
        RecordBody::ResidualGas(ResidualGas {
            stamp: stamp(),
            meter: meter(0),
            level,
            remaining,
        })
    };
    check(
        &[0x08],
        &[
            gas(GasLevel::First, None),
            gas(GasLevel::Second, Some(litres(100))),
        ],
    );
}

/// Compares the samples of some types with what they mean.
fn check(numbers: &[u8], expected: &[RecordBody]) {
    let decoded: Vec<RecordBody> = records()
        .iter()
        .filter(|(number, _)| numbers.contains(number))
        .map(|(number, body)| body_of(*number, body))
        .collect();
    assert_eq!(decoded, expected);
    for body in &decoded {
        assert!(numbers.contains(&body.number()));
        assert_ne!(body.id(), "opaque");
    }
}

// spec: REC-22, REC-23, REC-24
#[test]
fn alarm_notices_are_read() {
    let alarm = |code, state, characters| Alarm {
        alarm: AlarmCode::from_code(code),
        state,
        code: characters,
    };
    let two = [
        alarm(2, AlarmState::Raised, *b"02"),
        alarm(3, AlarmState::Present, *b"09"),
    ];
    check(
        &[0x05],
        &[
            RecordBody::AlarmNotice(AlarmNotice {
                stamp: stamp(),
                meter: meter(0),
                snapshot: false,
                valve: ValveState::ClosedByMeter,
                flow_category: FlowCategory::new(b'7'),
                register: Some(litres(1_235_999)),
                panel: Panel::new(b"A BC").unwrap(),
                alarms: Alarms::new(&two).unwrap(),
            }),
            RecordBody::AlarmNotice(AlarmNotice {
                stamp: stamp(),
                meter: meter(0),
                snapshot: true,
                valve: ValveState::Open,
                flow_category: None,
                register: None,
                panel: Panel::new(b"").unwrap(),
                alarms: Alarms::new(&[alarm(1, AlarmState::Cleared, [0, 0])]).unwrap(),
            }),
        ],
    );
    // Six alarms fit, of which the registry need not know any.
    let RecordBody::AlarmNotice(notice) = body_of(
        0x05,
        "026b36ecf8 00 01 00 00 06 000142ff 63024141 c8034242 fa010000 ff014343 01020000",
    ) else {
        panic!("an alarm notice");
    };
    let codes: Vec<_> = notice
        .alarms
        .as_slice()
        .iter()
        .map(|alarm| alarm.alarm.to_string())
        .collect();
    let unknown = [
        "unknown_0",
        "unknown_99",
        "unknown_200",
        "unknown_250",
        "unknown",
    ];
    assert_eq!(codes[..5], unknown);
    assert_eq!(notice.alarms.as_slice()[0].code, [0x42, 0xFF]);
    assert!(Alarms::new(&[]).is_err());
    assert!(Alarms::new(&[two[0]; 7]).is_err());
}

// spec: REC-26
#[test]
fn valve_states_and_results_are_read_with_and_without_mac() {
    let valve = |proof| {
        RecordBody::ValveState(ValveReport {
            stamp: stamp(),
            meter: meter(0),
            valve: ValveState::ClosedByCentre,
            cause: ValveCause::Command,
            command: 42,
            proof,
        })
    };
    check(&[0x06], &[valve(None), valve(mac())]);
    let result = CommandResult {
        stamp: stamp(),
        command: 42,
        kind: CommandKind::READ_REGISTER,
        meter: meter(0),
        valve: ValveState::Open,
        outcome: Outcome::DONE,
        data: ResultData::default(),
        proof: None,
    };
    let with_mac = CommandResult {
        kind: CommandKind::VALVE_CLOSE,
        valve: ValveState::ClosedByCentre,
        data: ResultData::new(hex!("beef").to_vec()).unwrap(),
        proof: mac(),
        ..result.clone()
    };
    check(
        &[0x0B],
        &[
            RecordBody::CommandResult(result),
            RecordBody::CommandResult(with_mac),
        ],
    );
    assert!(ResultData::new(vec![0; 64]).is_ok());
    assert!(ResultData::new(vec![0; 65]).is_err());
}

// spec: REC-14, REC-25
#[test]
fn exchanges_and_tables_of_meters_are_read() {
    let exchange = |new, old_register, new_register| {
        let exchange =
            MeterExchange::new(stamp(), meter(0), meter(new), old_register, new_register);
        RecordBody::MeterExchange(exchange.unwrap())
    };
    check(
        &[0x09],
        &[
            exchange(1, None, None),
            exchange(1, Some(litres(1_234_567)), Some(litres(0))),
        ],
    );
    for (old, new) in [(0x00, 0x00), (0x00, 0x11), (0x1F, 0x2F)] {
        assert!(MeterExchange::new(stamp(), meter(old), meter(new), None, None).is_err());
    }
    check(
        &[0x0A],
        &[RecordBody::MeterTable(MeterTable {
            stamp: stamp(),
            meter: meter(0),
            medium: 3,
            unit: litre(),
            digits: Digits::new(8).unwrap(),
            serial: Serial::new(b"AB1").unwrap(),
        })],
    );
}

// spec: REC-5, EXT-7
#[test]
fn records_of_the_terminal_itself_are_read() {
    check(
        &[0x07, 0x0C, 0x0D, 0x0E],
        &[
            RecordBody::Health(HealthReport {
                stamp: stamp(),
                health: good_health(),
                sends_total: 300,
                uptime_s: 86_400,
            }),
            RecordBody::ClockChange(ClockChange {
                before: stamp(),
                after: unset(),
                cause: ClockCause::Technician,
            }),
            RecordBody::OpaquePayload(OpaquePayload {
                stamp: stamp(),
                maker: 1,
                payload_type: 5,
                octets: hex!("cafe").to_vec(),
            }),
            RecordBody::TerminalInfo(TerminalInfo {
                stamp: stamp(),
                model: 1,
                firmware: 0x0102,
                capabilities: 3,
                zone_quarter_hours: 36,
            }),
        ],
    );
}

// spec: REC-20
#[test]
fn health_gives_values_in_units_and_unknown_as_none() {
    let health = good_health();
    assert_eq!(health.battery_mv(), Some(3_560));
    assert_eq!(health.remaining_percent(), Some(87));
    assert_eq!(health.rsrp_dbm(), Some(-104));
    assert_eq!(health.snr_db(), Some(7));
    assert_eq!(health.temperature_degc(), Some(9));
    let RecordBody::Everyday(day) = body_of(0x01, "2100155152 ffffff8080ff") else {
        panic!("an everyday record");
    };
    let unknown = day.parts().health.unwrap();
    assert_eq!(unknown.battery_mv(), None);
    assert_eq!(unknown.remaining_percent(), None);
    assert_eq!(unknown.rsrp_dbm(), None);
    assert_eq!(unknown.snr_db(), None);
    assert_eq!(unknown.temperature_degc(), None);
    assert_eq!(
        (unknown.sends(), unknown.reset_cause()),
        (15, ResetCause::Unknown)
    );
    let parts = HealthParts {
        battery_20mv: None,
        remaining_percent: None,
        rsrp_minus_dbm: None,
        snr_db: None,
        temperature_degc: None,
        sends: 15,
        reset_cause: ResetCause::Unknown,
    };
    assert_eq!(Health::new(parts), Ok(unknown));
    for bad in [
        HealthParts {
            battery_20mv: Some(255),
            ..parts
        },
        HealthParts {
            remaining_percent: Some(101),
            ..parts
        },
        HealthParts {
            rsrp_minus_dbm: Some(255),
            ..parts
        },
        HealthParts {
            snr_db: Some(-128),
            ..parts
        },
        HealthParts {
            temperature_degc: Some(-128),
            ..parts
        },
        HealthParts { sends: 16, ..parts },
    ] {
        assert!(Health::new(bad).is_err(), "{bad:?}");
    }
}

// spec: REC-16
#[test]
fn units_are_a_registered_quantity_and_a_power_of_ten() {
    assert_eq!(
        (litre().quantity_id(), litre().exponent()),
        ("volume_m3", -3)
    );
    let smallest = Unit::from_code(0xF0).unwrap();
    assert_eq!((smallest.quantity_id(), smallest.exponent()), ("count", -8));
    assert_eq!(Unit::from_code(0xFF).unwrap().exponent(), 7);
    for code in (0x00..=0x0F).chain(0xC0..=0xDF) {
        assert_eq!(Unit::from_code(code), None);
    }
}

#[test]
fn macs_are_not_shown_by_debug() {
    assert_eq!(format!("{:?}", mac().unwrap().mac), "Mac(..)");
}
