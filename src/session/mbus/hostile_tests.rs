//! What damaged, forged and doubled telegrams come to. The secured ones here are sealed by the
//! tests: they show rules of this code, and no standard's octets.

use hex_literal::hex;
use proptest::prelude::*;

use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::*;
use crate::crypto::key::Key128;
use crate::crypto::mbus::{
    AflKey, Derivation, KdfKey, ell_ctr, kdf_a, seal_cbc_mode5, seal_cbc_mode7,
};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::crc::crc;
use crate::wire::mbus::error::MbusErrorKind;
use crate::wire::mbus::link::Carriage;
use crate::wire::mbus::link::framed::with_crcs;

const KEY: [u8; 16] = hex!("000102030405060708090A0B0C0D0E0F");
const METER: [u8; 8] = hex!("9315785634123303");
const COUNTER: [u8; 4] = hex!("B40A0000");

/// Versions of the persistent key of the one meter, and a policy for all.
struct Ring(Vec<(u8, [u8; 16])>, Policy);

impl MeterKeys for Ring {
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        let is_known = id == KeyId::PERSISTENT && meter.link_order() == METER;
        for (version, key) in self.0.iter().filter(|_| is_known) {
            if !visit(KeyVersion(*version), &Key128::from(*key)) {
                return;
            }
        }
    }

    fn policy(&self, _: Address) -> Policy {
        self.1
    }
}

fn strict() -> Ring {
    Ring(vec![(1, KEY)], Policy::MustBeEncrypted)
}

fn lax() -> Ring {
    Ring(vec![(1, KEY)], Policy::ClearAllowed)
}

/// What is looked at here of an opened telegram.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    security: Security,
    ci: u8,
    payload: Vec<u8>,
}

fn open_in(
    fragments: &mut Fragments,
    telegram: &[u8],
    keys: &impl MeterKeys,
) -> Result<Option<Seen>, Refusal> {
    let mut scratch = Scratch::default();
    let step = open(telegram, Carriage::Auto, keys, fragments, 0, &mut scratch)?;
    Ok(match step {
        // As the server does.
        Step::Opened(Opened {
            doubt: Some(doubt), ..
        }) => return Err(Refusal::Octets(doubt)),
        Step::Opened(opened) => Some(Seen {
            security: opened.security,
            ci: opened.ci,
            payload: opened.payload.to_vec(),
        }),
        _ => None,
    })
}

fn open_one(telegram: &[u8], keys: &impl MeterKeys) -> Result<Seen, Refusal> {
    open_in(&mut Fragments::default(), telegram, keys).map(|seen| seen.expect("it carries data"))
}

/// SND-NR of the meter.
fn telegram(body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(9 + body.len()).unwrap();
    [&[length, 0x44], &METER[..], body].concat()
}

/// A message in mode 5 with a short header: `blocks` encrypted blocks, and a clear tail.
fn mode_5(plain: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut data = [&[0x2F, 0x2F], plain].concat();
    data.resize(data.len().next_multiple_of(16), 0x2F);
    let blocks = u8::try_from(data.len() / 16).unwrap();
    seal_cbc_mode5(&KEY.into(), METER, 0x2A, &mut data).unwrap();
    [&[0x7A, 0x2A, 0x00, blocks << 4, 0x05], &data[..], tail].concat()
}

/// A message in mode 7: `extension` stands between header and data.
fn mode_7(extension: &[u8], has_counter: bool, plain: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut data = [&[0x2F, 0x2F], plain].concat();
    data.resize(data.len().next_multiple_of(16), 0x2F);
    if plain.is_empty() {
        data.clear();
    } else {
        let kenc = kdf_a(&KEY.into(), Derivation::Kenc, COUNTER, hex!("78563412"));
        seal_cbc_mode7(&kenc, &mut data).unwrap();
    }
    let blocks = u8::try_from(data.len() / 16).unwrap();
    let high = 0x07 | u8::from(has_counter) << 5;
    [
        &[0x7A, 0x2A, 0x00, blocks << 4, high],
        extension,
        &data,
        tail,
    ]
    .concat()
}

/// An AFL with counter and MAC before a message.
fn with_mac(message: &[u8]) -> Vec<u8> {
    let kmac = kdf_a(&KEY.into(), Derivation::Kmac, COUNTER, hex!("78563412"));
    let mac = AflKey::new(&kmac).mac(&[&[0x25], &COUNTER, message]);
    let afl = [&hex!("900F002C25")[..], &COUNTER, &mac[..8]].concat();
    [&afl, message].concat()
}

fn flipped(telegram: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..telegram.len() * 8).map(|bit| {
        let mut damaged = telegram.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged
    })
}

const RECORD: [u8; 7] = hex!("0C 13 27 04 85 02 2F");
const FORGED: [u8; 6] = hex!("0C 13 99 99 99 99");

#[test]
fn no_damage_makes_clear_data_of_a_meter_that_must_encrypt() {
    let keys = strict();
    for secured in [
        telegram(&mode_5(&RECORD, &[])),
        telegram(&with_mac(&mode_7(&[0x10], false, &RECORD, &[]))),
        telegram(&with_mac(&mode_5(&RECORD, &FORGED))),
    ] {
        let whole = open_one(&secured, &keys).unwrap();
        let cut = (0..secured.len()).map(|end| secured[..end].to_vec());
        for damaged in flipped(&secured).chain(cut) {
            let Ok(Some(seen)) = open_in(&mut Fragments::default(), &damaged, &keys) else {
                continue;
            };
            let is_error = (0x6E..=0x70).contains(&seen.ci);
            match seen.security.verified {
                Verified::None => assert!(is_error || seen.payload.is_empty(), "{damaged:02X?}"),
                Verified::CheckBytes => assert_eq!(seen.security.clear_tail_octets, 0),
                Verified::Mac => assert_eq!(seen.payload, whole.payload),
            }
        }
    }
}

#[test]
fn a_clear_tail_is_withheld_where_all_must_be_encrypted_and_no_mac_covers_it() {
    let honest = telegram(&mode_5(&RECORD, &[]));
    let forged = telegram(&mode_5(&RECORD, &FORGED));
    let seen = open_one(&forged, &lax()).unwrap();
    assert_eq!(seen.security.clear_tail_octets, 6);
    assert!(seen.payload.ends_with(&FORGED));
    let seen = open_one(&forged, &strict()).unwrap();
    assert_eq!(seen.security.withheld_octets, 6);
    assert_eq!(seen.security.clear_tail_octets, 0);
    assert_eq!(seen.payload, open_one(&honest, &strict()).unwrap().payload);
    // Under a MAC the tail is the meter's own, in both modes.
    for covered in [
        mode_5(&RECORD, &FORGED),
        mode_7(&[0x10], false, &RECORD, &FORGED),
    ] {
        let seen = open_one(&telegram(&with_mac(&covered)), &strict()).unwrap();
        assert_eq!(seen.security.verified, Verified::Mac);
        assert_eq!(seen.security.clear_tail_octets, 6);
        assert!(seen.payload.ends_with(&FORGED));
    }
}

#[test]
fn what_is_authentic_but_in_clear_is_refused_where_all_must_be_encrypted() {
    let clear = with_mac(&mode_7(&[0x10], false, &[], &RECORD));
    let seen = open_one(&telegram(&clear), &lax()).unwrap();
    assert_eq!(
        (seen.security.verified, &seen.payload[..]),
        (Verified::Mac, &RECORD[..])
    );
    let mode_0 = with_mac(&[&hex!("7A2A000000"), &RECORD[..]].concat());
    for clear in [&clear, &mode_0] {
        let refused = open_one(&telegram(clear), &strict());
        assert_eq!(refused, Err(Refusal::ClearNotAllowed));
    }
    let seen = open_one(&telegram(&mode_0), &lax()).unwrap();
    assert_eq!(seen.security.verified, Verified::Mac);
}

#[test]
fn application_errors_and_headers_alone_come_in_clear_from_every_meter_as_unauthenticated() {
    for clear in [
        &hex!("7008")[..],
        &hex!("6E2A00000008"),
        &hex!("8A2A000000"),
    ] {
        let seen = open_one(&telegram(clear), &strict()).unwrap();
        assert_eq!(seen.security.verified, Verified::None);
    }
    for clear in [
        &hex!("780B13436587")[..],
        &hex!("7A2A0000000B13436587"),
        &hex!("7101"),
        &hex!("7A2A030000"),
        &hex!("8A2A0000000B13436587"),
    ] {
        let refused = open_one(&telegram(clear), &strict());
        assert_eq!(refused, Err(Refusal::ClearNotAllowed));
    }
}

#[test]
fn a_mac_counts_in_mode_5_and_mode_0_too() {
    for message in [
        mode_5(&RECORD, &[]),
        [&hex!("7A2A000000"), &RECORD[..]].concat(),
    ] {
        let secured = telegram(&with_mac(&message));
        let seen = open_one(&secured, &lax()).unwrap();
        assert_eq!(seen.security.verified, Verified::Mac);
        assert_eq!(seen.security.counter, Some(0x0AB4));
        let mut wrong = secured.clone();
        wrong[20] ^= 1;
        assert_eq!(open_one(&wrong, &lax()), Err(Refusal::WrongMac));
    }
}

/// No keys, as a person at a recording has.
struct Tool;

impl MeterKeys for Tool {
    fn visit(&self, _: Address, _: KeyId, _: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {}

    fn policy(&self, _: Address) -> Policy {
        Policy::ClearAllowed
    }

    fn takes_decrypted(&self) -> bool {
        true
    }
}

const ADAPTER: [u8; 8] = hex!("2D2C113134273302");

/// The key of a radio adapter, and of nobody else.
struct OfAdapter(Policy);

impl MeterKeys for OfAdapter {
    fn visit(&self, meter: Address, _: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        if meter.link_order() == ADAPTER {
            visit(KeyVersion(0), &Key128::from(KEY));
        }
    }

    fn policy(&self, _: Address) -> Policy {
        self.0
    }
}

#[test]
fn an_adapter_s_key_vouches_for_no_meter_behind_it() {
    // Encrypted by a link whose key is known, around a long header that names another meter.
    let inner = [&hex!("727856341293153303010000000C1499999999")[..]].concat();
    let checked = [&crc(&inner).to_le_bytes()[..], &inner].concat();
    let session = hex!("E9603A20");
    for policy in [Policy::ClearAllowed, Policy::MustBeEncrypted] {
        let mut secured = checked.clone();
        ell_ctr(&Key128::from(KEY), ADAPTER, 0x20, session, &mut secured);
        let body = [&hex!("8D2001")[..], &session, &secured].concat();
        let mut telegram = [&[0, 0x44][..], &ADAPTER, &body].concat();
        telegram[0] = u8::try_from(telegram.len() - 1).unwrap();
        let opened = open_one(&telegram, &OfAdapter(policy));
        match policy {
            Policy::MustBeEncrypted => assert_eq!(opened, Err(Refusal::ClearNotAllowed)),
            Policy::ClearAllowed => {
                let security = opened.unwrap().security;
                assert_eq!((security.verified, security.key), (Verified::None, None));
            }
        }
    }
}

#[test]
fn a_recorder_s_plaintext_is_taken_as_clear_by_tools_that_want_it_and_by_no_server() {
    let filled = hex!("2F2F2F2F2F2F2F");
    let in_mode_5 = [&hex!("7A2A0010052F2F"), &RECORD[..], &filled].concat();
    let in_mode_7 = [&hex!("7A2A001007102F2F"), &RECORD[..], &filled].concat();
    let in_mode_7 = [&hex!("900F002C25B40A00001122334455667788"), &in_mode_7[..]].concat();
    for (plain, with_key) in [
        (in_mode_5, Refusal::WrongKey),
        (in_mode_7, Refusal::WrongMac),
    ] {
        let seen = open_one(&telegram(&plain), &Tool).unwrap();
        assert_eq!(seen.security.verified, Verified::None);
        assert!(seen.payload.starts_with(&RECORD));
        for policy in [Policy::ClearAllowed, Policy::MustBeEncrypted] {
            let server = Ring(Vec::new(), policy);
            let refused = open_one(&telegram(&plain), &server).unwrap_err();
            assert_eq!(refused.id(), "no_key");
        }
        assert_eq!(open_one(&telegram(&plain), &strict()), Err(with_key));
    }
}

#[test]
fn a_key_is_found_among_versions_and_a_named_version_is_the_only_one_tried() {
    let ring = |versions: &[(u8, u8)]| {
        let keys = versions.iter().map(|(version, last)| {
            let mut key = KEY;
            key[15] = *last;
            (*version, key)
        });
        Ring(keys.collect(), Policy::MustBeEncrypted)
    };
    let rotated = ring(&[(3, 0), (4, 1), (2, 0x0F)]);
    // Key version 2 in the configuration field extension, and a message counter behind it.
    let extension = [&[0x50, 2], &COUNTER[..]].concat();
    let named = telegram(&with_mac(&mode_7(&extension, true, &RECORD, &[])));
    let unnamed = telegram(&with_mac(&mode_7(&[0x10], false, &RECORD, &[])));
    let five = telegram(&mode_5(&RECORD, &[]));
    for secured in [&named, &unnamed, &five] {
        let name = open_one(secured, &rotated).unwrap().security.key.unwrap();
        assert_eq!((name.id, name.version), (KeyId(0), KeyVersion(2)));
        assert_eq!(open_one(secured, &ring(&[])).unwrap_err().id(), "no_key");
    }
    let without = ring(&[(3, 0x0F)]);
    assert_eq!(
        open_one(&named, &without),
        Err(Refusal::NoKey {
            id: KeyId(0),
            version: Some(KeyVersion(2)),
        })
    );
    assert!(open_one(&unnamed, &without).is_ok());
    assert_eq!(open_one(&five, &ring(&[(1, 0)])), Err(Refusal::WrongKey));
}

#[test]
fn what_no_rule_covers_is_refused_by_name() {
    // No derivation; no counter; a GMAC; a CMAC of two octets.
    let message = mode_7(&[0x00], false, &RECORD, &[]);
    let no_derivation = with_mac(&message);
    let mut gmac = with_mac(&mode_7(&[0x10], false, &RECORD, &[]));
    gmac[4] = 0x28;
    let mut short = with_mac(&mode_7(&[0x10], false, &RECORD, &[]));
    short[4] = 0x23;
    let no_counter = {
        let message = mode_7(&[0x10], false, &RECORD, &[]);
        [&hex!("900B0024050000000000000000"), &message[..]].concat()
    };
    for (body, named) in [
        (&no_derivation, "KDF-A"),
        (&gmac, "GMAC"),
        (&short, "less than 8"),
        (&no_counter, "counter"),
    ] {
        let refusal = open_one(&telegram(body), &lax()).unwrap_err();
        assert_eq!(refusal.id(), "unsupported_security");
        assert!(refusal.to_string().contains(named), "{refusal}");
    }
    let refusal = open_one(&telegram(&hex!("7A2A00000D00")), &lax()).unwrap_err();
    assert_eq!(refusal.to_string(), "security mode 13 (TLS) is not taken");
    let refusal = open_one(&telegram(&hex!("86800000")), &lax()).unwrap_err();
    let Refusal::Octets(error) = refusal else {
        panic!("{refusal}");
    };
    assert_eq!(error.kind, MbusErrorKind::UnsupportedCi(0x86));
}

#[test]
fn a_signature_of_an_old_wired_meter_is_no_security_mode() {
    for signature in [hex!("27B6"), hex!("FFFF")] {
        let body = [
            &hex!("0800727856341293153303 2A00")[..],
            &signature,
            &RECORD,
        ]
        .concat();
        let length = u8::try_from(body.len()).unwrap();
        let sum = body
            .iter()
            .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        let frame = [&[0x68, length, length, 0x68], &body[..], &[sum, 0x16]].concat();
        let seen = open_one(&frame, &lax()).unwrap();
        assert_eq!((seen.security.mode, &seen.payload[..]), (0, &RECORD[..]));
    }
    let wireless = telegram(&hex!("7A2A0027B6"));
    assert_eq!(
        open_one(&wireless, &lax()),
        Err(Refusal::UnsupportedMode(22))
    );
}

/// Cuts a message into fragments at these places, each in a telegram of its own.
fn fragments_of(message: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let kmac = KdfKey::new(&KEY.into()).derive(Derivation::Kmac, COUNTER, hex!("78563412"));
    let length = u16::try_from(message.len()).unwrap().to_le_bytes();
    let mac = AflKey::new(&kmac).mac(&[&[0x65], &COUNTER, &length, message]);
    let ends = cuts.iter().copied().chain([message.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let last = cuts.len();
    let parts = starts.zip(ends).enumerate();
    parts
        .map(|(at, (start, end))| {
            let number = u8::try_from(at + 1).unwrap();
            let more = u8::from(at < last) << 6;
            let afl = match at {
                0 => {
                    let fields: [&[u8]; 4] =
                        [&[0x90, 9, 1, 0x38 | more, 0x65], &COUNTER, &length, &[]];
                    fields.concat()
                }
                _ if at == last => [&[0x90, 10, number, 0x04], &mac[..8]].concat(),
                _ => vec![0x90, 2, number, more],
            };
            let ell = [0x8C, 0x80, 0x46 + number];
            let mut telegram = telegram(&[&ell, &afl[..], &message[start..end]].concat());
            telegram[1] = 0x08;
            telegram
        })
        .collect()
}

fn in_orders(count: usize) -> Vec<Vec<usize>> {
    match count {
        0 => vec![Vec::new()],
        _ => in_orders(count - 1)
            .into_iter()
            .flat_map(|order| {
                (0..count).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, count - 1);
                    order
                })
            })
            .collect(),
    }
}

#[test]
fn of_all_orders_of_fragments_one_opens_and_the_others_are_refused() {
    let message = mode_7(&[0x10], false, &[RECORD; 8].concat(), &[]);
    let parts = fragments_of(&message, &[20, 21, 60]);
    let mut opened = Vec::new();
    for order in in_orders(4) {
        let mut fragments = Fragments::default();
        for at in &order {
            match open_in(&mut fragments, &parts[*at], &strict()) {
                Ok(Some(seen)) => {
                    assert_eq!(seen.security.verified, Verified::Mac);
                    opened.push(order.clone());
                }
                Ok(None) => {}
                Err(Refusal::Octets(error)) => assert_eq!(error.kind, MbusErrorKind::Fragment),
                Err(other) => panic!("{other}"),
            }
            assert!(fragments.len() <= 1);
        }
    }
    assert_eq!(opened, [[0, 1, 2, 3]]);
}

/// The first telegram of a row without CRCs that ends as one of format B does.
fn that_passes_for_format_b(row: impl Fn(u32) -> Vec<u8>) -> (u32, Vec<u8>) {
    let passes = |telegram: &[u8]| {
        let (data, check) = telegram.split_last_chunk::<2>().unwrap();
        crc(data) == u16::from_be_bytes(*check)
    };
    let mut all = (0..).map(|volume| (volume, row(volume)));
    all.find(|(_, telegram)| passes(telegram)).unwrap()
}

#[test]
fn a_telegram_without_crcs_keeps_its_end_though_it_passes_for_format_b() {
    let of = |volume: u32| [&[0x04, 0x13], &volume.to_le_bytes()[..]].concat();
    let clear = |volume| telegram(&[&hex!("7A2A000000")[..], &of(volume)].concat());
    let in_mode_5 = |volume| telegram(&mode_5(&of(volume), &[]));
    let in_mode_7 = |volume| telegram(&with_mac(&mode_7(&[0x10], false, &of(volume), &[])));
    let rows: [&dyn Fn(u32) -> Vec<u8>; 3] = [&clear, &in_mode_5, &in_mode_7];
    for row in rows {
        let (volume, telegram) = that_passes_for_format_b(row);
        let seen = open_one(&telegram, &lax()).unwrap();
        assert!(seen.payload.starts_with(&of(volume)), "{telegram:02X?}");
        assert_eq!(seen.security.cut_octets, 0);
        let no_key = open_one(&telegram, &Ring(Vec::new(), Policy::ClearAllowed));
        assert!(no_key.is_ok() || matches!(no_key, Err(Refusal::NoKey { .. })));
    }
}

/// In format B, of which the second block is damaged.
fn damaged_in_format_b(telegram: &[u8]) -> Vec<u8> {
    let mut framed = with_crcs(telegram, false);
    framed[140] ^= 0x10;
    framed
}

#[test]
fn damaged_fragments_leave_a_message_as_it_was() {
    let message = mode_7(&[0x10], false, &[RECORD; 60].concat(), &[]);
    let parts = fragments_of(&message, &[150, 300]);
    let damaged: Vec<_> = parts.iter().map(|part| damaged_in_format_b(part)).collect();
    let mut fragments = Fragments::default();
    let mut opened = 0;
    for part in &parts {
        for one in &damaged {
            let Err(Refusal::Octets(error)) = open_in(&mut fragments, one, &strict()) else {
                panic!("a damaged telegram is refused");
            };
            assert_eq!(error.kind, MbusErrorKind::BlockCrc(1));
        }
        opened += usize::from(open_in(&mut fragments, part, &strict()).unwrap().is_some());
    }
    assert_eq!(opened, 1);
}

#[test]
fn a_message_beyond_its_length_or_the_bound_is_given_up() {
    let message = mode_7(&[0x10], false, &RECORD, &[]);
    let mut parts = fragments_of(&message, &[10]);
    parts[1].pop();
    parts[1][0] -= 1;
    let mut fragments = Fragments::default();
    assert_eq!(open_in(&mut fragments, &parts[0], &strict()), Ok(None));
    assert!(open_in(&mut fragments, &parts[1], &strict()).is_err());
    assert!(fragments.is_empty());
    // Without a told length the bound holds.
    let first = telegram(&hex!("8C80019002014072"));
    let mut fragments = Fragments::default();
    assert_eq!(open_in(&mut fragments, &first, &strict()), Ok(None));
    let mut refused = None;
    for number in 2..=255 {
        let part = [&[0x8C, 0x80, 1, 0x90, 2, number, 0x40], &[7; 200][..]].concat();
        refused = open_in(&mut fragments, &telegram(&part), &strict()).err();
        if refused.is_some() {
            break;
        }
    }
    let Some(Refusal::Octets(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.kind, MbusErrorKind::Limit);
    assert!(fragments.is_empty());
}

#[path = "readings_tests.rs"]
mod readings;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fragments_in_any_order_and_number_open_once_when_all_came_in_order(
        cuts in proptest::collection::btree_set(1_usize..60, 1..6),
        order in proptest::collection::vec(0_usize..7, 1..40),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let message = mode_7(&[0x10], false, &[RECORD; 8].concat(), &[]);
        let parts = fragments_of(&message, &cuts);
        let (mut fragments, mut next, mut opened) = (Fragments::default(), 0, 0);
        for at in order {
            let at = at % parts.len();
            let step = open_in(&mut fragments, &parts[at], &strict());
            if at <= next {
                let seen = step.unwrap();
                next += usize::from(at == next);
                let is_last = at == parts.len() - 1;
                prop_assert_eq!(seen.is_some(), is_last && next == parts.len());
                opened |= usize::from(seen.is_some());
            } else {
                prop_assert!(step.is_err());
            }
        }
        prop_assert_eq!(opened, usize::from(next == parts.len()));
    }
}
