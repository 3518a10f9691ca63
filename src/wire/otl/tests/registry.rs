//! The tables in the code are those of `protocol-spec/registries`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::wire::error::ErrorKind;
use crate::wire::otl::ident::Mode;
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::commands::{CommandClass, CommandKind, Outcome, Precondition};
use crate::wire::otl::registry::items::{
    answer_item_id, answer_item_is_critical, record_id, session_item_id,
};
use crate::wire::otl::registry::units;
use crate::wire::otl::registry::valve::ValveState;

const ALARMS: &str = include_str!("../../../../protocol-spec/registries/alarms.toml");
const CLOSE_CODES: &str = include_str!("../../../../protocol-spec/registries/close-codes.toml");
const COMMANDS: &str = include_str!("../../../../protocol-spec/registries/commands.toml");
const MODES: &str = include_str!("../../../../protocol-spec/registries/security-modes.toml");
const RECORD_TYPES: &str = include_str!("../../../../protocol-spec/registries/record-types.toml");
const UNITS: &str = include_str!("../../../../protocol-spec/registries/units.toml");
const VALVES: &str = include_str!("../../../../protocol-spec/registries/valve-states.toml");

fn entries(file: &str, table: &str) -> Vec<Table> {
    let file: Table = file.parse().unwrap();
    let entries = file[table].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry.as_table().unwrap().clone())
        .collect()
}

fn number(entry: &Table, key: &str) -> u8 {
    u8::try_from(entry[key].as_integer().unwrap()).unwrap()
}

/// Number and id of each entry.
fn codes(file: &str, table: &str, key: &str) -> BTreeMap<u8, String> {
    entries(file, table)
        .iter()
        .map(|entry| (number(entry, key), entry["id"].as_str().unwrap().to_owned()))
        .collect()
}

/// Every number that the code knows, with its id.
fn known(id: impl Fn(u8) -> Option<&'static str>) -> BTreeMap<u8, String> {
    (0..=255)
        .filter_map(|number| Some((number, id(number)?.to_owned())))
        .collect()
}

// spec: REC-24, EXT-1
#[test]
fn alarms_agree() {
    let known = known(|code| AlarmCode::from_code(code).id());
    assert_eq!(known, codes(ALARMS, "alarm", "code"));
    assert_eq!(AlarmCode::UNKNOWN.id(), Some("unknown"));
}

// spec: REC-21
#[test]
fn valve_states_agree() {
    let known = known(|code| ValveState::from_code(code).map(ValveState::id));
    assert_eq!(known, codes(VALVES, "state", "code"));
}

// spec: REC-16
#[test]
fn quantities_and_units_agree() {
    assert_eq!(known(units::class_id), codes(UNITS, "class", "class"));
    for entry in entries(UNITS, "unit") {
        let unit = crate::wire::otl::meter::Unit::from_code(number(&entry, "code")).unwrap();
        let exponent = entry["exponent"].as_integer().unwrap();
        assert_eq!(i64::from(unit.exponent()), exponent);
        assert!(
            unit.quantity_id()
                .starts_with(entry["quantity"].as_str().unwrap())
        );
    }
}

#[test]
fn commands_agree() {
    let known_kinds = known(|code| CommandKind::from_code(code).id());
    assert_eq!(known_kinds, codes(COMMANDS, "command", "code"));
    for entry in entries(COMMANDS, "command") {
        let kind = CommandKind::from_code(number(&entry, "code"));
        assert_eq!(kind.class().id(), entry["class"].as_str().unwrap());
        let lens: Vec<_> = kind
            .parameter_lens()
            .unwrap()
            .iter()
            .map(|len| Value::from(i64::try_from(*len).unwrap()))
            .collect();
        assert_eq!(&lens, entry["parameters"].as_array().unwrap());
    }
    assert_eq!(
        CommandKind::from_code(0xC0).class(),
        CommandClass::Dangerous
    );
    let known_outcomes = known(|code| Outcome::from_code(code).id());
    assert_eq!(known_outcomes, codes(COMMANDS, "outcome", "code"));
    let known_preconditions = known(|code| Precondition::from_code(code)?.id());
    assert_eq!(known_preconditions, codes(COMMANDS, "precondition", "code"));
}

// spec: EXT-2, FRM-20
#[test]
fn record_and_item_numbers_agree() {
    assert_eq!(known(record_id), codes(RECORD_TYPES, "record", "number"));
    assert_eq!(
        known(session_item_id),
        codes(RECORD_TYPES, "session_item", "number")
    );
    assert_eq!(
        known(answer_item_id),
        codes(RECORD_TYPES, "answer_item", "number")
    );
    for entry in entries(RECORD_TYPES, "answer_item") {
        let critical = entry["critical"].as_bool().unwrap();
        assert_eq!(answer_item_is_critical(number(&entry, "number")), critical);
    }
    for entry in entries(RECORD_TYPES, "session_item") {
        assert_eq!(entry["critical"].as_bool(), Some(false));
    }
}

#[test]
fn modes_agree() {
    let entries = entries(MODES, "mode");
    assert_eq!(entries.len(), Mode::ALL.len());
    for entry in entries {
        let mode = Mode::from_number(number(&entry, "code")).unwrap();
        assert_eq!(mode.id(), entry["id"].as_str().unwrap());
        assert_eq!(mode.tag_len(), usize::from(number(&entry, "tag_octets")));
        let header = usize::from(number(&entry, "header_octets"));
        assert_eq!(mode.uplink_header_len(), header);
        assert_eq!(Some(mode.has_session_key()), entry["session_key"].as_bool());
    }
    assert_eq!(Mode::from_number(4), None);
}

// spec: ERR-1
#[test]
fn every_refusal_of_octets_is_a_registered_one() {
    let registered = entries(CLOSE_CODES, "close");
    for kind in ErrorKind::ALL {
        let is_registered = |entry: &Table| entry["id"].as_str() == Some(kind.id());
        assert!(registered.iter().any(is_registered), "{kind}");
    }
}
