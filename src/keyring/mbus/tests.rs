use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::csv::{Column, Mistakes, Problem, parse};
use super::meter::parse_meter;
use super::*;
use crate::crypto::key::Key128;
use crate::keyring::sealed::{self, FileKey, OpenFileError, Role};
use crate::keyring::{LinkKeyring, OsRandom, UtilityId};
use crate::wire::mbus::address::Address;

const GAS: UtilityId = UtilityId::new(*b"gasworks");
const WATER: UtilityId = UtilityId::new(*b"waterltd");
const GAS_DIGITS: &str = "676173776f726b73";
const WATER_DIGITS: &str = "77617465726c7464";

fn meter(number: u32) -> Address {
    let [a, b, c, d] = number.to_le_bytes();
    Address::from_link_order([0x93, 0x15, a, b, c, d, 0x33, 0x03])
}

fn new_key(number: u32, id: u8, version: u8, state: VersionState) -> NewMeterKey {
    NewMeterKey {
        meter: meter(number),
        utility: GAS,
        policy: None,
        id: KeyId(id),
        version: KeyVersion(version),
        state,
        key: Key128::from([version; 16]),
    }
}

/// The versions of a key in the order in which they are tried, each with the first octet of it.
fn versions(keys: &dyn MeterKeys, meter: Address, id: u8) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    keys.visit(meter, KeyId(id), &mut |version, key| {
        found.push((version.0, key.expose()[0]));
        true
    });
    found
}

fn master() -> FileKey {
    FileKey::read(&[0x4B; 32]).unwrap()
}

/// Two utilities, three meters, all states.
fn sample() -> MeterKeyring {
    let key = |octet: u8| format!("{octet:02x}").repeat(16);
    let text = format!(
        "\u{FEFF}utility,meter,key_id,version,state,policy,key\r\n\
         {GAS_DIGITS},ELS-12345678-33-03,,,,,{}\r\n\
         {GAS_DIGITS},9315785634123303,00,02,previous,,{}\r\n\
         \r\n\
         {GAS_DIGITS},ELS-12345678-33-03,00,01,next,\"must_be_encrypted\",{}\r\n\
         {GAS_DIGITS},ELS-12345678-33-03,08,01,current,,{}\r\n\
         {WATER_DIGITS},ZRI-0000000A-01-07,00,00,current,clear_allowed,{}\n\
         {WATER_DIGITS},ZRI-0000000B-01-07,00,00,next,,{}",
        key(0xA0),
        key(0xA2),
        key(0xA1),
        key(0xA8),
        key(0xB0),
        key(0xB1),
    );
    parse(text.as_bytes()).unwrap()
}

/// Meter, utility, policy; number, version and state of a key; the key.
type Row<'a> = ([u8; 8], UtilityId, Option<&'a str>, [u8; 3], [u8; 16]);

/// All that a ring holds.
fn content(ring: &MeterKeyring) -> BTreeSet<Row<'_>> {
    ring.rows()
        .map(|row| {
            let names = [row.id.0, row.version.0, row.state.code()];
            let policy = row.policy.map(Policy::id);
            let meter = row.meter.link_order();
            (meter, row.utility, policy, names, *row.key.expose())
        })
        .collect()
}

#[test]
fn the_versions_of_a_key_come_in_the_order_in_which_they_are_likely() {
    let ring = sample();
    let gas = parse_meter("ELS-12345678-33-03").unwrap();
    assert_eq!(versions(&ring, gas, 0), [(0, 0xA0), (1, 0xA1), (2, 0xA2)]);
    assert_eq!(versions(&ring, gas, 8), [(1, 0xA8)]);
    assert_eq!(versions(&ring, gas, 1), []);
    assert_eq!(versions(&ring, meter(1), 0), []);
    let mut tried = 0;
    ring.visit(gas, KeyId(0), &mut |_, _| {
        tried += 1;
        false
    });
    assert_eq!(tried, 1, "no further key once one fits");
    assert_eq!((ring.meter_count(), ring.key_count()), (3, 6));
}

#[test]
fn a_meter_with_a_key_must_encrypt_unless_its_entry_says_otherwise() {
    let ring = sample();
    let policy = |text| ring.policy(parse_meter(text).unwrap());
    assert_eq!(policy("ELS-12345678-33-03"), Policy::MustBeEncrypted);
    assert_eq!(policy("ZRI-0000000A-01-07"), Policy::ClearAllowed);
    assert_eq!(policy("ZRI-0000000B-01-07"), Policy::MustBeEncrypted);
    assert_eq!(policy("ZRI-0000000C-01-07"), Policy::ClearAllowed);
}

#[test]
fn another_utility_gets_no_key_of_a_meter() {
    let ring = sample();
    let gas = parse_meter("ELS-12345678-33-03").unwrap();
    assert_eq!(ring.utility(gas), Some(GAS));
    assert_eq!(ring.utility(meter(1)), None);
    assert_eq!(versions(&ring.of_utility(GAS), gas, 0).len(), 3);
    let other = ring.of_utility(WATER);
    assert_eq!(versions(&other, gas, 0), []);
    assert_eq!(other.policy(gas), Policy::MustBeEncrypted);
}

#[test]
fn what_contradicts_itself_is_refused_and_changes_nothing() {
    use VersionState::{Current, Next};
    let mut ring = MeterKeyring::new();
    ring.add(new_key(1, 0, 0, Current)).unwrap();
    let refused = |ring: &mut MeterKeyring, new| ring.add(new).unwrap_err();
    let same_version = refused(&mut ring, new_key(1, 0, 0, Next));
    assert_eq!(same_version, AddMeterKeyError::VersionTaken);
    let same_state = refused(&mut ring, new_key(1, 0, 1, Current));
    assert_eq!(same_state, AddMeterKeyError::StateTaken);
    let valve = refused(&mut ring, new_key(1, 0x20, 0, Current));
    assert_eq!(valve, AddMeterKeyError::NotAKeyId);
    let mut elsewhere = new_key(1, 8, 0, Current);
    elsewhere.utility = WATER;
    let elsewhere = refused(&mut ring, elsewhere);
    assert_eq!(elsewhere, AddMeterKeyError::OtherUtility);
    let mut clear = new_key(1, 8, 0, Current);
    clear.policy = Some(Policy::ClearAllowed);
    ring.add(clear).unwrap();
    let mut strict = new_key(1, 8, 1, Next);
    strict.policy = Some(Policy::MustBeEncrypted);
    assert_eq!(refused(&mut ring, strict), AddMeterKeyError::OtherPolicy);
    assert_eq!(ring.key_count(), 2);
    assert_eq!(ring.policy(meter(1)), Policy::ClearAllowed);
}

fn mistakes(text: &str) -> Mistakes {
    parse(text.as_bytes()).map(|_| ()).unwrap_err()
}

#[test]
fn every_mistake_of_a_table_is_named_by_line_and_column() {
    let key = "00".repeat(16);
    let text = format!(
        "meter,utility,key,key_id,version,state,policy\n\
         ELS-1,x,{key}0,,,,\n\
         ELS-12345678-33-03,{GAS_DIGITS},{key},g,1,gone,often\n\
         ELS-12345678-33-03,{GAS_DIGITS}\n\
         ELS-12345678-33-03,{GAS_DIGITS},{key},,,,\n\
         ELS-12345678-33-03,{GAS_DIGITS},{key},00,00,next,\n\
         ELS-12345678-33-03,{GAS_DIGITS},{key},00,01,current,\n\
         ELS-12345678-33-03,{WATER_DIGITS},{key},00,02,next,\n\
         ELS-12345678-33-03,{GAS_DIGITS},{key},20,02,next,\n"
    );
    let found = mistakes(&text);
    let places: Vec<_> = found
        .named
        .iter()
        .map(|one| (one.line, one.column))
        .collect();
    let expected = [
        (2, Some(Column::Meter)),
        (2, Some(Column::Utility)),
        (2, Some(Column::Key)),
        (3, Some(Column::KeyId)),
        (3, Some(Column::Version)),
        (3, Some(Column::State)),
        (3, Some(Column::Policy)),
        (4, None),
        (6, Some(Column::Version)),
        (7, Some(Column::State)),
        (8, Some(Column::Utility)),
        (9, Some(Column::KeyId)),
    ];
    assert_eq!(places, expected);
    assert_eq!(found.total, 12);
    assert!(found.to_string().contains("line 2, key: a key is 32"));
}

#[test]
fn a_table_names_its_columns_first() {
    for (text, problem) in [
        ("", Problem::NoHeader),
        ("\n\n", Problem::NoHeader),
        ("meter,utility\n", Problem::ColumnMissing),
        ("meter,utility,key,key\n", Problem::ColumnTwice),
        ("meter,utility,key,colour\n", Problem::UnknownColumn(4)),
    ] {
        assert_eq!(mistakes(text).named[0].problem, problem, "{text:?}");
    }
    let long = format!("meter,utility,key\n{}\n", "0".repeat(2_000));
    assert_eq!(mistakes(&long).named[0].problem, Problem::LineTooLong);
}

#[test]
fn many_mistakes_are_counted_and_a_thousand_named() {
    let text = "meter,utility,key\n".to_owned() + &"x\n".repeat(5_000);
    let found = mistakes(&text);
    assert_eq!((found.named.len(), found.total), (1_000, 5_000));
    assert!(found.to_string().ends_with("and 4000 more"));
}

/// A table without its first line, or with its columns mixed up, has keys anywhere.
#[test]
fn no_text_of_the_table_is_in_a_mistake_or_in_what_is_shown_of_a_ring() {
    let key = "c0ffee0123456789c0ffee0123456789";
    for text in [
        format!("ELS-12345678-33-03,{GAS_DIGITS},{key}\n"),
        format!("meter,utility,key\n{key},{key},{key}0\n"),
        format!(
            "meter,utility,key,key_id,version,state,policy\n{}\n",
            [key; 7].join(",")
        ),
        format!("meter,utility,key\n{key}\n"),
    ] {
        let found = mistakes(&text);
        let told = format!("{found} {found:?}").to_lowercase();
        assert!(!told.contains("c0ffee"), "{told}");
    }
    let text = format!("meter,utility,key\nELS-12345678-33-03,{GAS_DIGITS},{key}\n");
    let ring = parse(text.as_bytes()).unwrap();
    let told = format!(
        "{ring:?} {:?} {:?}",
        ring.of_utility(GAS),
        MeterSummary::of(&ring)
    );
    assert!(!told.contains("c0") && !told.contains("192, 255"), "{told}");
    assert!(told.contains("keys: 1"), "{told}");
}

#[test]
fn a_sealed_ring_opens_as_it_was() {
    let ring = sample();
    let file = sealed::seal_meters(&ring, &master(), &mut OsRandom).unwrap();
    let opened = sealed::open_meters(&file, &master()).unwrap();
    assert_eq!(content(&opened), content(&ring));
    assert_eq!(MeterSummary::of(&opened), MeterSummary::of(&ring));
    let summary = MeterSummary::of(&ring);
    let [gas, water] = summary.utilities[..] else {
        panic!()
    };
    assert_eq!(
        (gas.meters, gas.current, gas.next, gas.previous),
        (1, 2, 1, 1)
    );
    assert_eq!((water.meters, water.clear_allowed, water.keys()), (2, 1, 2));
    let counts = opened.meters_by_utility();
    let counts: BTreeMap<_, _> = counts.collect();
    assert_eq!(counts, BTreeMap::from([(GAS, 1), (WATER, 2)]));
    for at in 0..file.len() - 8 {
        assert_ne!(file[at..at + 8], [0xA0; 8], "a key in clear");
    }
}

#[test]
fn a_sealed_ring_of_another_role_or_another_master_key_is_refused_by_name() {
    let file = sealed::seal_meters(&sample(), &master(), &mut OsRandom).unwrap();
    assert_eq!(sealed::claimed_role(&file), Some(Role::Mbus));
    let other = FileKey::read(&[0x4C; 32]).unwrap();
    let refused = sealed::open_meters(&file, &other).map(|_| ());
    assert_eq!(refused, Err(OpenFileError::WrongMasterKey));
    let wanted = Role::Link;
    let refused = sealed::open_link(&file, &master()).map(|_| ());
    assert_eq!(refused, Err(OpenFileError::WrongRole { found: 3, wanted }));
    let link = sealed::seal_link(&LinkKeyring::new(), &master(), &mut OsRandom).unwrap();
    let refused = sealed::open_meters(&link, &master()).map(|_| ());
    let wanted = Role::Mbus;
    assert_eq!(refused, Err(OpenFileError::WrongRole { found: 1, wanted }));
}

#[test]
fn a_sealed_ring_that_is_cut_or_flipped_anywhere_is_refused() {
    let file = sealed::seal_meters(&sample(), &master(), &mut OsRandom).unwrap();
    for end in 0..file.len() {
        assert!(
            sealed::open_meters(&file[..end], &master()).is_err(),
            "{end}"
        );
    }
    for at in 0..file.len() {
        let mut wrong = file.clone();
        wrong[at] ^= 0x10;
        let refused = sealed::open_meters(&wrong, &master()).map(|_| ());
        let error = refused.unwrap_err();
        let is_entry = matches!(
            error,
            OpenFileError::DamagedEntry { .. } | OpenFileError::Truncated { .. }
        );
        assert_eq!(is_entry, at >= 44, "{at} {error}");
    }
    let long = [&file[..], &[0]].concat();
    let refused = sealed::open_meters(&long, &master()).map(|_| ());
    assert_eq!(refused, Err(OpenFileError::TrailingBytes));
}

#[test]
fn a_large_ring_is_sealed_in_few_entries_and_opens_as_it_was() {
    let mut ring = MeterKeyring::new();
    for number in 0..10_000 {
        ring.add(new_key(number, 0, 0, VersionState::Current))
            .unwrap();
    }
    let file = sealed::seal_meters(&ring, &master(), &mut OsRandom).unwrap();
    // A row is 28 octets, an entry adds 51, the head is 44.
    assert_eq!(file.len(), 44 + 10_000 * 28 + 5 * 51);
    let opened = sealed::open_meters(&file, &master()).unwrap();
    assert_eq!(content(&opened), content(&ring));
}

#[test]
#[ignore = "a measurement: run it in release with --nocapture"]
fn a_million_meters_are_read_sealed_opened_and_found() {
    use std::fmt::Write as _;

    use crate::time::{Clock as _, SystemClock};
    const METERS: u32 = 1_000_000;
    let mut text = "meter,utility,key\n".to_owned();
    for number in 0..METERS {
        let meter = meter(number);
        writeln!(text, "{meter},{GAS_DIGITS},{number:032x}").unwrap();
    }
    let clock = SystemClock::new();
    let mut last_ms = clock.monotonic_ms();
    let mut told = |what: &str| {
        let now_ms = clock.monotonic_ms();
        println!("{what}: {} ms", now_ms - last_ms);
        last_ms = now_ms;
    };
    let ring = parse(text.as_bytes()).unwrap();
    told("read");
    let file = sealed::seal_meters(&ring, &master(), &mut OsRandom).unwrap();
    told("sealed");
    let opened = sealed::open_meters(&file, &master()).unwrap();
    told("opened");
    // Far from each other, so that no look-up finds what the one before brought near.
    let mut sum = 0_u64;
    for step in 0..METERS {
        let number = step.wrapping_mul(7_919) % METERS;
        opened.visit(meter(number), KeyId(0), &mut |_, key| {
            sum += u64::from(key.expose()[15]);
            true
        });
    }
    told("a million look-ups");
    println!("{} octets sealed", file.len());
    assert!(sum > 0);
    assert_eq!(opened.key_count(), 1_000_000);
}

fn any_key() -> impl Strategy<Value = (u32, u8, u8, u8, u8, [u8; 16])> {
    (
        0..6_u32,
        0..0x12_u8,
        0..4_u8,
        0..3_u8,
        0..3_u8,
        any::<[u8; 16]>(),
    )
}

proptest! {
    /// What is found is what a plain map of what was taken has, whatever came in which order.
    #[test]
    fn a_ring_finds_what_was_added_and_nothing_else(
        keys in prop::collection::vec(any_key(), 0..120),
    ) {
        use VersionState::{Current, Next, Previous};
        let mut ring = MeterKeyring::new();
        let mut model: BTreeMap<(u32, u8, VersionState), (u8, [u8; 16])> = BTreeMap::new();
        for (number, id, version, state, policy, octets) in keys {
            let state = [Current, Next, Previous][usize::from(state)];
            let mut new = new_key(number, id, version, state);
            new.key = Key128::from(octets);
            new.policy = [None, None, Some(Policy::ClearAllowed)][usize::from(policy)];
            let of_key = model.range((number, id, Current)..=(number, id, Previous));
            let is_taken = id > 0x0F
                || of_key.into_iter().any(|(of, old)| of.2 == state || old.0 == version);
            prop_assert_eq!(ring.add(new).is_err(), is_taken);
            if !is_taken {
                model.insert((number, id, state), (version, octets));
            }
        }
        prop_assert_eq!(ring.key_count(), model.len());
        for number in 0..8 {
            for id in 0..0x12 {
                let mut found = Vec::new();
                ring.visit(meter(number), KeyId(id), &mut |version, key| {
                    found.push((version.0, *key.expose()));
                    true
                });
                let expected = model.range((number, id, Current)..=(number, id, Previous));
                let expected: Vec<_> = expected.map(|(_, key)| *key).collect();
                prop_assert_eq!(found, expected);
            }
        }
        let file = sealed::seal_meters(&ring, &master(), &mut OsRandom).unwrap();
        let opened = sealed::open_meters(&file, &master()).unwrap();
        prop_assert_eq!(content(&opened), content(&ring));
    }

    #[test]
    fn any_octets_are_a_table_or_mistakes(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut text = b"meter,utility,key\n".to_vec();
        parse(&octets).map(|_| ()).ok();
        text.extend_from_slice(&octets);
        parse(&text).map(|_| ()).ok();
    }
}
