//! Command items and their parameters.

use crate::wire::error::ErrorKind;
use crate::wire::otl::answer::{Answer, AnswerItem};
use crate::wire::otl::command::{CommandItem, Parameters};
use crate::wire::otl::ident::{KeyVersion, Mode};
use crate::wire::otl::meter::Meter;
use crate::wire::otl::registry::commands::{CommandClass, CommandKind, Precondition};

use super::octets;

const MAC: &str = "000102030405060708090a0b0c0d0e0f";

/// Decodes the body of a COMMAND item that stands alone in an answer.
fn decode(body: &str) -> Result<CommandItem, (ErrorKind, usize)> {
    let body = octets(body);
    let item = super::item(0x85, &body);
    let plaintext = [vec![0, 0, 0], item.clone()].concat();
    let answer = Answer::decode(&plaintext, 0, Mode::CcmStatic)
        .map_err(|error| (error.kind, error.offset - (3 + item.len() - body.len())))?;
    match answer.items() {
        [AnswerItem::Command(command)] => Ok(command.clone()),
        _ => panic!("one command"),
    }
}

fn valve_close() -> CommandItem {
    decode(&format!("03 0000002a 01 1f 81 6b36ecf8 02 {MAC}")).unwrap()
}

#[test]
fn command_is_read_field_by_field() {
    let command = valve_close();
    assert_eq!(command.key_version.get(), 3);
    assert_eq!(command.sequence.get(), 42);
    assert_eq!(command.kind, CommandKind::VALVE_CLOSE);
    assert_eq!(command.meter, Meter::new(1, 15).unwrap());
    assert!(command.bound);
    assert_eq!(command.precondition, Precondition::VALVE_OPEN);
    assert_eq!(command.not_after_utc_s, 0x6b36_ecf8);
    assert_eq!(command.parameters, [2]);
    assert_eq!(command.mac.to_string(), MAC);
    let harmless = decode(&format!("03 0000002a 24 00 00 ffffffff {MAC}")).unwrap();
    assert!(!harmless.bound);
    assert!(harmless.parameters.is_empty());
}

// spec: KEY-7
#[test]
fn version_and_sequence_0_are_refused() {
    let refused = |at| Err((ErrorKind::BadValue, at));
    assert_eq!(
        decode(&format!("00 0000002a 01 10 81 6b36ecf8 02 {MAC}")),
        refused(0)
    );
    assert_eq!(
        decode(&format!("03 00000000 01 10 81 6b36ecf8 02 {MAC}")),
        refused(1)
    );
}

#[test]
fn command_that_a_terminal_will_refuse_is_read_all_the_same() {
    let strange = decode(&format!(
        "03 0000002a fe ff ff 00000000 {} {MAC}",
        "ab".repeat(99)
    ));
    let strange = strange.unwrap();
    assert_eq!(strange.kind.to_string(), "unknown_254");
    assert_eq!(strange.precondition.code(), 127);
    assert_eq!(strange.parameters.len(), 99);
    assert_eq!(Parameters::decode(strange.kind, &strange.parameters), None);
}

// spec: FRM-19
#[test]
fn every_command_shorter_than_28_octets_is_truncated() {
    let whole = octets(&format!("03 0000002a 24 00 00 ffffffff {MAC}"));
    for len in 0..whole.len() {
        let text: String = whole[..len]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert_eq!(decode(&text), Err((ErrorKind::Truncated, len)));
    }
}

fn parameters() -> Vec<(Parameters, Vec<u8>)> {
    let version = |number| KeyVersion::new(number).unwrap();
    vec![
        (Parameters::ValveClose { reason: 5 }, vec![5]),
        (
            Parameters::ValvePermitReopen { minutes: 1_440 },
            vec![0x05, 0xA0],
        ),
        (Parameters::ValveOpen, vec![]),
        (
            Parameters::KeyInstall {
                purpose: 1,
                key_version: version(4),
                kek_version: version(2),
                wrapped: vec![7; 24],
            },
            [vec![1, 4, 2], vec![7; 24]].concat(),
        ),
        (Parameters::ModeChange { mode: 3 }, vec![3]),
        (Parameters::ReadRegister, vec![]),
        (Parameters::ReadValveState, vec![]),
        (
            Parameters::ResendRecords {
                epoch: 1,
                first: 2,
                count: 3,
            },
            octets("00000001 00000002 0003"),
        ),
        (Parameters::SendMeterTable, vec![]),
        (Parameters::TestCall, vec![]),
        (
            Parameters::SetResidualLevels {
                litres: [1, 0x0001_0203, 0x00FF_FFFF],
            },
            octets("000001 010203 ffffff"),
        ),
    ]
}

#[test]
fn parameters_of_every_kind_are_read_and_written() {
    let all = parameters();
    let kinds: Vec<_> = all
        .iter()
        .map(|(parameters, _)| parameters.kind())
        .collect();
    assert_eq!(kinds, CommandKind::REGISTERED);
    for (parameters, octets) in all {
        let kind = parameters.kind();
        assert_eq!(parameters.encode().as_ref(), Ok(&octets));
        assert!(kind.parameter_lens().unwrap().contains(&octets.len()));
        assert_eq!(Parameters::decode(kind, &octets), Some(parameters));
        let longer = [octets, vec![0]].concat();
        assert_eq!(Parameters::decode(kind, &longer), None);
    }
}

// spec: ROT-12
#[test]
fn parameters_out_of_range_are_not_made() {
    for (kind, parameters) in [
        (CommandKind::VALVE_CLOSE, "00"),
        (CommandKind::VALVE_CLOSE, "06"),
        (CommandKind::VALVE_PERMIT_REOPEN, "0000"),
        (CommandKind::VALVE_PERMIT_REOPEN, "05a1"),
        (CommandKind::MODE_CHANGE, "00"),
        (CommandKind::MODE_CHANGE, "04"),
        (CommandKind::VALVE_OPEN, "00"),
    ] {
        assert_eq!(Parameters::decode(kind, &octets(parameters)), None);
    }
    for (head, len) in [
        ("000101", 24),
        ("040101", 24),
        ("010001", 24),
        ("010100", 24),
        ("010101", 25),
    ] {
        let octets = [octets(head), vec![0; len]].concat();
        assert_eq!(Parameters::decode(CommandKind::KEY_INSTALL, &octets), None);
    }
    let litres = [0, 1 << 24, 0];
    assert!(Parameters::SetResidualLevels { litres }.encode().is_err());
}

// spec: CMD-2, CMD-3
#[test]
fn dangerous_and_config_kinds_have_to_be_bound() {
    for code in 0..=255 {
        let kind = CommandKind::from_code(code);
        let expected = match code {
            0x20..=0x24 => CommandClass::Harmless,
            0x30 => CommandClass::Config,
            _ => CommandClass::Dangerous,
        };
        assert_eq!(kind.class(), expected);
        assert_eq!(
            kind.class().must_be_bound(),
            expected != CommandClass::Harmless
        );
    }
}
