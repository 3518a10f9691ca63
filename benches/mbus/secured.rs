//! Secured telegrams from their octets to owned values, with the keys of many meters loaded:
//! look-up, derivation, check, decryption, records.

use std::hint::black_box;

use kenshin::crypto::key::Key128;
use kenshin::crypto::mbus::{Derivation, afl_mac, kdf_a, seal_cbc_mode5, seal_cbc_mode7, seal_ccm};
use kenshin::keyring::UtilityId;
use kenshin::keyring::mbus::{KeyId, KeyVersion, MeterKeyring, NewMeterKey, VersionState};
use kenshin::session::mbus::{Fragments, Scratch, Step, open};
use kenshin::wire::mbus::address::Address;
use kenshin::wire::mbus::app::{Body, decode_records};
use kenshin::wire::mbus::link::Carriage;

use crate::turns::{Contender, Extent, measure, median};

/// Meters that send in turn: more than any cache near a core holds the keys of.
const SENDERS: u32 = 8_192;
/// Telegrams of a turn.
const TURN: usize = 512;
/// OMS Volume 2 Annex N, N.2: volume, date, error flags; filled up to whole blocks.
const RECORDS: &[u8] = &[
    0x2F, 0x2F, 0x0C, 0x14, 0x27, 0x04, 0x85, 0x02, 0x04, 0x6D, 0x32, 0x37, 0x1F, 0x15, 0x02, 0xFD,
    0x17, 0x00, 0x00, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F, 0x2F,
];

/// A mode: its name, its telegrams a second at least, and how it is sealed.
struct Mode {
    name: &'static str,
    required: f64,
    seal: fn(Address, u32) -> Vec<u8>,
}

const MODES: [Mode; 3] = [
    Mode {
        name: "mode_5",
        required: 700_000.0,
        seal: mode5,
    },
    Mode {
        name: "mode_7",
        required: 400_000.0,
        seal: mode7,
    },
    Mode {
        name: "mode_10",
        required: 400_000.0,
        seal: mode10,
    },
];

pub(crate) fn run(is_test: bool, is_wanted: &dyn Fn(&str) -> bool) {
    if !MODES.iter().any(|mode| is_wanted(mode.name)) {
        return;
    }
    let counts: &[u32] = if is_test {
        &[10_000]
    } else {
        &[10_000, 1_000_000]
    };
    for meters in counts {
        let ring = ring(*meters);
        println!("opening secured telegrams with the keys of {meters} meters, {SENDERS} in turn");
        for mode in MODES.iter().filter(|mode| is_wanted(mode.name)) {
            one(mode, &ring, *meters, is_test);
        }
    }
}

fn one(mode: &Mode, ring: &MeterKeyring, meters: u32, is_test: bool) {
    let step = meters / SENDERS;
    let telegrams: Vec<Vec<u8>> = (0..SENDERS)
        .map(|sender| (mode.seal)(address(sender * step), sender * step))
        .collect();
    let mut at = 0;
    let mut scratch = Scratch::default();
    let mut fragments = Fragments::default();
    let telegrams = telegrams.as_slice();
    let pass = move || {
        for telegram in &telegrams[at..at + TURN] {
            let carriage = Carriage::Auto;
            let step = open(telegram, carriage, ring, &mut fragments, 0, &mut scratch);
            let Ok(Step::Opened(opened)) = step else {
                panic!("{step:?}");
            };
            let Ok(Body::Records { records, .. }) = Body::read(opened.ci, false, opened.payload)
            else {
                panic!("records");
            };
            assert_eq!(black_box(decode_records(records)).records.len(), 3);
        }
        at = (at + TURN) % telegrams.len();
    };
    let mut contenders = [Contender {
        name: mode.name,
        telegrams: TURN,
        pass: Box::new(pass),
    }];
    let costs = measure(&mut contenders, Extent::of(is_test)).swap_remove(0);
    let (cost, worst) = (median(&costs), costs.iter().copied().fold(0.0, f64::max));
    let (name, required) = (mode.name, mode.required);
    println!(
        "  {name:<8} {cost:6.0} ns, {:9.0}/s, worst round {:9.0}/s; at least {required:.0}/s",
        1e9 / cost,
        1e9 / worst
    );
    let line = serde_json::json!({
        "bench": name, "meters": meters, "ns": cost, "per_s": 1e9 / cost,
        "worst_per_s": 1e9 / worst, "required_per_s": required,
    });
    println!("{line}");
}

/// The meter with a number.
fn address(number: u32) -> Address {
    let [a, b, c, d] = number.to_le_bytes();
    Address::from_link_order([0x93, 0x15, a, b, c, d, 0x33, 0x03])
}

fn key(number: u32) -> Key128 {
    let mut octets = [0x5A; 16];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    Key128::from(octets)
}

fn ring(meters: u32) -> MeterKeyring {
    let mut ring = MeterKeyring::new();
    for number in 0..meters {
        let new = NewMeterKey {
            meter: address(number),
            utility: UtilityId::new([1; 8]),
            policy: None,
            id: KeyId::PERSISTENT,
            version: KeyVersion(0),
            state: VersionState::Current,
            key: key(number),
        };
        ring.add(new).unwrap();
    }
    ring
}

/// A telegram of SND-NR around what follows the address.
fn telegram(meter: Address, rest: &[&[u8]]) -> Vec<u8> {
    let mut telegram = vec![0, 0x44];
    telegram.extend(meter.link_order());
    rest.iter()
        .for_each(|part| telegram.extend_from_slice(part));
    telegram[0] = u8::try_from(telegram.len() - 1).unwrap();
    telegram
}

fn mode5(meter: Address, number: u32) -> Vec<u8> {
    let mut data = RECORDS.to_vec();
    seal_cbc_mode5(&key(number), meter.link_order(), 0x2A, &mut data).unwrap();
    telegram(meter, &[&[0x7A, 0x2A, 0x00, 0x20, 0x05], &data])
}

fn mode7(meter: Address, number: u32) -> Vec<u8> {
    let (key, counter, id) = (key(number), [0xB3, 0x0A, 0, 0], meter.id.octets());
    let mut data = RECORDS.to_vec();
    seal_cbc_mode7(&kdf_a(&key, Derivation::Kenc, counter, id), &mut data).unwrap();
    let message = [&[0x7A, 0x75, 0x00, 0x20, 0x07, 0x10], data.as_slice()].concat();
    let kmac = kdf_a(&key, Derivation::Kmac, counter, id);
    let mac = afl_mac(&kmac, &[&[0x25], &counter, &message]);
    let afl = [
        &[0x90, 0x0F, 0x00, 0x2C, 0x25],
        counter.as_slice(),
        &mac[..8],
    ]
    .concat();
    telegram(meter, &[&[0x8C, 0x20, 0x75], &afl, &message])
}

fn mode10(meter: Address, number: u32) -> Vec<u8> {
    let (key, counter, id) = (key(number), [0xB3, 0x0A, 0, 0], meter.id.octets());
    let kenc = kdf_a(&key, Derivation::Kenc, counter, id);
    let head = [0x7A, 0x75, 0x00, 0xFF, 0x2A, 0x10, 0x01];
    let mut data = RECORDS[2..].to_vec();
    let number = u32::from_le_bytes(counter);
    let tag = seal_ccm(&kenc, meter.link_order(), number, &head, &mut data).unwrap();
    telegram(meter, &[&[0x8C, 0x20, 0x75], &head, &counter, &data, &tag])
}
