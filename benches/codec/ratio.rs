//! Our opening and decoding of the routine uplink against a bare AES-CCM open of the same octets,
//! in turns in one run, so that both see the same machine. In each round the fastest turn of each
//! contender counts: a turn is shorter than the time slice of a busy machine.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aes::Aes128Enc;
use ccm::Ccm;
use ccm::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use ccm::consts::{U8, U12};
use cmac::{Cmac, Mac as _};
use kenshin::crypto::key::{Link, Master};
use kenshin::crypto::otl::UplinkCipher;
use kenshin::keyring::LinkKeyring;
use kenshin::wire::otl::frame::Frame;
use kenshin::wire::otl::header::{Direction, Header, Mode};
use kenshin::wire::otl::limits::FRAME_MAX;
use kenshin::wire::otl::uplink::Salvage;

use crate::fixture::{self, HEADER_LEN, KEY_VERSION, NO_NONCES, TAG_LEN, UTILITY};

type BareCipher = Ccm<Aes128Enc, U8, U12>;
type AesCmac = Cmac<aes::Aes128>;

/// The most that ours may cost, as a multiple of the bare open.
const REQUIRED: f64 = 1.5;

/// Frames of a turn.
const TURN: usize = 128;

/// How much is measured.
struct Extent {
    rounds: usize,
    /// Turns of each contender in a round.
    turns: usize,
    scenarios: &'static [Scenario],
}

/// Who is registered and who calls.
#[derive(Clone, Copy)]
struct Scenario {
    /// Terminals in the ring.
    terminals: u64,
    /// Different terminals that call in turn: 1, or a multiple of [`TURN`].
    callers: u64,
    /// Whether the bar applies.
    judged: bool,
}

/// The worked vector again and again.
const fn one_caller(terminals: u64) -> Scenario {
    Scenario {
        terminals,
        callers: 1,
        judged: true,
    }
}

/// So many callers that the first-level cache of the processor knows none of them. The bare open
/// has nothing to look up, so that this compares memory more than code.
const fn many_callers(terminals: u64) -> Scenario {
    Scenario {
        terminals,
        callers: 8_192,
        judged: false,
    }
}

const SCENARIOS: [Scenario; 4] = [
    one_caller(10_000),
    one_caller(1_000_000),
    many_callers(10_000),
    many_callers(1_000_000),
];

/// Measures and prints.
pub(crate) fn run(is_test: bool) {
    let extent = if is_test {
        Extent {
            rounds: 1,
            turns: 1,
            scenarios: &SCENARIOS[..1],
        }
    } else {
        Extent {
            rounds: 15,
            turns: 60,
            scenarios: &SCENARIOS,
        }
    };
    println!("opening and decoding the routine uplink, 128 octets, mode 1, against a bare open");
    for scenario in extent.scenarios {
        measure(*scenario, &extent);
    }
}

/// What both sides are given before the clock starts.
struct Input {
    frames: Vec<[u8; 128]>,
    /// The keys of the frames' senders as octets, for the bare open.
    keys: Vec<[u8; 16]>,
    /// The same keys, expanded.
    prepared: Vec<BareCipher>,
    ring: LinkKeyring,
    /// The same keys as a caller would keep them: by identity.
    cache: HashMap<[u8; 8], UplinkCipher>,
    master: Master<Link>,
    /// The master for RustCrypto's CMAC.
    cmac_master: AesCmac,
}

impl Input {
    fn new(scenario: Scenario) -> Self {
        let frames = if scenario.callers == 1 {
            vec![fixture::ROUTINE; TURN]
        } else {
            fixture::frames(scenario.callers, scenario.terminals)
        };
        let master = fixture::master();
        let cmac_master = AesCmac::new(&fixture::MASTER.into());
        let identities: Vec<[u8; 8]> = frames.iter().map(identity).collect();
        let keys: Vec<[u8; 16]> = identities
            .iter()
            .map(|identity| traffic_key(&cmac_master, *identity))
            .collect();
        let ciphers = identities
            .iter()
            .map(|identity| (*identity, fixture::uplink_cipher(&master, *identity)));
        Self {
            cache: ciphers.collect(),
            prepared: keys.iter().map(|key| BareCipher::new(key.into())).collect(),
            ring: fixture::ring(scenario.terminals),
            frames,
            keys,
            master,
            cmac_master,
        }
    }
}

fn identity(frame: &[u8; 128]) -> [u8; 8] {
    frame[3..11].try_into().expect("8 octets")
}

/// A contender: opens frame number `index`.
type Contender = fn(&Input, usize);

const CONTENDERS: [(&str, Contender); 7] = [
    ("bare, key schedule prepared", bare_prepared),
    ("bare, key schedule in each open", bare_key_schedule),
    ("bare, derived by RustCrypto cmac", bare_derived_cmac),
    ("bare, derived by kenshin::crypto", bare_derived),
    ("ours, keys kept by the caller", ours_kept),
    ("ours, derived from the master", ours_derived),
    ("parse, split, look-up, decode only", ours_without_crypto),
];

/// Ours, bare, whether the bar applies, and what it means.
const PAIRS: [(usize, usize, bool, &str); 4] = [
    (4, 0, true, "keys kept / schedule prepared"),
    (5, 2, true, "derived / derived by RustCrypto cmac"),
    (5, 3, true, "derived / derived by kenshin::crypto"),
    (5, 1, false, "derived / schedule only (not alike)"),
];

/// As the vectors' formula has it: base key and traffic key, with RustCrypto's CMAC alone.
fn traffic_key(master: &AesCmac, identity: [u8; 8]) -> [u8; 16] {
    let base = kdf(
        master,
        b"OTL1 base",
        &[UTILITY.as_slice(), &identity, &[1, KEY_VERSION]],
    );
    let base = AesCmac::new(&base.into());
    let context: [&[u8]; 3] = [&UTILITY, &identity, &[1, 1, 1, KEY_VERSION]];
    kdf(&base, b"OTL1 traffic", &context)
}

fn kdf(key: &AesCmac, label: &[u8], context: &[&[u8]]) -> [u8; 16] {
    let mut mac = key.clone();
    mac.update(&1_u32.to_be_bytes());
    mac.update(label);
    mac.update(&[0]);
    context.iter().for_each(|part| mac.update(part));
    mac.update(&128_u32.to_be_bytes());
    mac.finalize().into_bytes().into()
}

fn bare_open(cipher: &BareCipher, frame: &[u8; 128]) {
    let (header, rest) = frame.split_at(HEADER_LEN);
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG_LEN);
    let nonce: [u8; 12] = header[3..15].try_into().expect("12 octets");
    let tag: [u8; TAG_LEN] = tag.try_into().expect("8 octets");
    let mut buffer = [0; 128 - HEADER_LEN - TAG_LEN];
    buffer.copy_from_slice(ciphertext);
    let out = InOutBuf::from(buffer.as_mut_slice());
    let opened = cipher.decrypt_inout_detached(&nonce.into(), header, out, &tag.into());
    assert!(opened.is_ok());
    black_box(&buffer);
}

fn bare_prepared(input: &Input, index: usize) {
    bare_open(&input.prepared[index], &input.frames[index]);
}

fn bare_key_schedule(input: &Input, index: usize) {
    bare_open(
        &BareCipher::new(&input.keys[index].into()),
        &input.frames[index],
    );
}

fn bare_derived_cmac(input: &Input, index: usize) {
    let frame = &input.frames[index];
    let key = traffic_key(&input.cmac_master, identity(frame));
    bare_open(&BareCipher::new(&key.into()), frame);
}

/// The least that can be had from our key schedule: nothing is looked up, parsed or decoded.
fn bare_derived(input: &Input, index: usize) {
    let frame = &input.frames[index];
    let cipher = fixture::uplink_cipher(&input.master, identity(frame));
    let (header, rest) = frame.split_at(HEADER_LEN);
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG_LEN);
    let mut buffer = [0; 128 - HEADER_LEN - TAG_LEN];
    buffer.copy_from_slice(ciphertext);
    assert_eq!(cipher.open(header, &mut buffer, tag), Ok(()));
    black_box(&buffer);
}

fn ours_kept(input: &Input, index: usize) {
    ours(&input.frames[index], |identity, mode, _| {
        let registration = input.ring.registration(identity).expect("registered");
        assert!(registration.accepts_mode(mode));
        Key::Kept(input.cache.get(identity).expect("kept"))
    });
}

fn ours_derived(input: &Input, index: usize) {
    ours(&input.frames[index], |identity, mode, version| {
        let opening = input.ring.opening_key(identity, mode, version);
        let key = opening.expect("registered").key.expect("mode 1");
        Key::Derived(key.uplink_cipher(NO_NONCES))
    });
}

/// All of ours but the cipher: what it decodes is the plaintext, put there beforehand.
fn ours_without_crypto(input: &Input, index: usize) {
    thread_local! {
        static PLAINTEXT: Vec<u8> = fixture::plaintext();
    }
    let frame = &input.frames[index];
    let header = Header::parse(frame, Direction::FromTerminal).expect("a valid header");
    let Header::Uplink(uplink) = header else {
        panic!("an uplink");
    };
    let identity = uplink.identity().octets();
    let registration = input.ring.registration(&identity).expect("registered");
    let cut = Frame::split(header, frame, registration.mode).expect("a frame of mode 1");
    PLAINTEXT.with(|plaintext| {
        black_box(Salvage::decode(
            plaintext,
            cut.ciphertext_offset(),
            Mode::CcmStatic,
        ))
        .expect("a valid plaintext");
    });
}

#[expect(
    clippy::large_enum_variant,
    reason = "a derived key lives on the stack, as it does in the server"
)]
enum Key<'a> {
    Kept(&'a UplinkCipher),
    Derived(UplinkCipher),
}

/// The way of an uplink up to owned values.
fn ours<'a>(frame: &[u8], find: impl FnOnce(&[u8; 8], Mode, u8) -> Key<'a>) {
    let header = Header::parse(frame, Direction::FromTerminal).expect("a valid header");
    let Header::Uplink(uplink) = header else {
        panic!("an uplink");
    };
    let version = uplink.key_version().map_or(0, |version| version.get());
    let key = find(&uplink.identity().octets(), uplink.mode(), version);
    let cut = Frame::split(header, frame, Mode::CcmStatic).expect("a frame of mode 1");
    let mut buffer = [0; FRAME_MAX];
    let plaintext = &mut buffer[..cut.ciphertext.len()];
    plaintext.copy_from_slice(cut.ciphertext);
    let cipher = match &key {
        Key::Kept(cipher) => cipher,
        Key::Derived(cipher) => cipher,
    };
    let opened = cipher.open(cut.header_octets, plaintext, cut.tag);
    assert_eq!(opened, Ok(()));
    let salvage = Salvage::decode(plaintext, cut.ciphertext_offset(), Mode::CcmStatic);
    black_box(salvage).expect("a valid plaintext");
}

/// Opens the next frames of the contender and says how long that took. No two contenders open the
/// same frames one soon after the other, so that none finds its terminals in the cache.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn turn(input: &Input, contender: usize, number: usize) -> Duration {
    let (_, open) = CONTENDERS[contender];
    let first = (number + contender * 9) * TURN % input.frames.len();
    let started = Instant::now();
    for index in first..first + TURN {
        open(black_box(input), index);
    }
    started.elapsed()
}

fn measure(scenario: Scenario, extent: &Extent) {
    let input = Input::new(scenario);
    // By round, nanoseconds a frame of each contender.
    let rounds: Vec<[f64; CONTENDERS.len()]> = (0..extent.rounds)
        .map(|round| {
            let mut fastest = [Duration::MAX; CONTENDERS.len()];
            for number in 0..extent.turns {
                for (contender, fastest) in fastest.iter_mut().enumerate() {
                    let number = round * extent.turns + number;
                    *fastest = turn(&input, contender, number).min(*fastest);
                }
            }
            let frames = f64::from(u32::try_from(TURN).expect("few frames"));
            fastest.map(|turn| turn.as_secs_f64() * 1e9 / frames)
        })
        .collect();
    report(scenario, &rounds);
}

fn report(scenario: Scenario, rounds: &[[f64; CONTENDERS.len()]]) {
    let Scenario {
        terminals,
        callers,
        judged,
    } = scenario;
    let count = rounds.len();
    println!("\n{terminals} terminals, {callers} calling, {count} rounds, ns a frame");
    println!("{:36} {:>8} {:>8} {:>8}", "", "best", "median", "worst");
    let mut contenders = Vec::new();
    for (index, (name, _)) in CONTENDERS.iter().enumerate() {
        let [best, median, worst] = summary(rounds.iter().map(|round| round[index]));
        println!("{name:36} {best:8.0} {median:8.0} {worst:8.0}");
        contenders.push(serde_json::json!({
            "name": name, "best_ns": best.round(), "median_ns": median.round(),
            "worst_ns": worst.round(),
        }));
    }
    println!(
        "{:36} {:>8} {:>8} {:>8}",
        "ratio", "best", "median", "worst"
    );
    let mut ratios = Vec::new();
    for (ours, bare, required, name) in PAIRS {
        let [best, median, worst] = summary(rounds.iter().map(|round| round[ours] / round[bare]));
        let required = required && judged;
        let verdict = match required {
            true if worst <= REQUIRED => "met, also at its worst",
            true if median <= REQUIRED => "met in the median",
            true => "NOT MET",
            false => "for information",
        };
        println!("{name:36} {best:8.2} {median:8.2} {worst:8.2}  {verdict}");
        ratios.push(serde_json::json!({
            "name": name, "best": round2(best), "median": round2(median),
            "worst": round2(worst), "required": required.then_some(REQUIRED),
        }));
    }
    let line = serde_json::json!({
        "bench": "codec_ratio", "terminals": terminals, "callers": callers,
        "frame_octets": 128, "mode": 1,
        "rounds": rounds.len(), "contenders": contenders, "ratios": ratios,
    });
    println!("{line}");
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Best, median and worst.
fn summary(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    [values[0], values[last / 2], values[last]]
}
