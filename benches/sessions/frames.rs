//! Routine uplinks of mode 1, sealed before the clock starts, by the terminal's side.
//!
//! Frame k of all comes from a terminal chosen by a stride through the registered ones, so that
//! every look-up goes elsewhere. Its counter is k + 1: distinct in the whole run, so that an answer
//! names its frame, and growing for each terminal. Its record is the terminal's next day.

use simulator::codec::frame::{UplinkHeader, uplink};
use simulator::codec::record::Record;
use simulator::codec::report::{Report, Stamp};
use simulator::codec::wire::Writer;
use simulator::crypto::SecretKey;
use simulator::household::{Household, Profile};
use simulator::keys::{
    BaseKey, Direction, Identity, Mode, Owner, Purpose, Utility, base_key, traffic_key,
};

/// Octets of a frame.
pub(crate) const FRAME: usize = 128;
/// Octets of its answer.
pub(crate) const ANSWER: usize = 25;
/// The utility of all terminals.
pub(crate) const UTILITY: [u8; 8] = *b"benchgas";
/// Its link master.
pub(crate) const LINK_MASTER: [u8; 16] = *b"benches only, 16";
/// The version of the master and of the terminals' keys.
pub(crate) const KEY_VERSION: u8 = 1;

/// A prime above every number of terminals that is sensible, so that it divides none.
const STRIDE: u64 = 4_294_967_291;
/// Different households; terminals share them.
const HOUSEHOLDS: u32 = 256;
const DAYS: u16 = 64;
/// Octets of the clear header and of the tag.
const HEADER: usize = 23;
const TAG: usize = 8;
/// What header, report and tag leave for one record item.
const ITEM_MAX: usize = FRAME - HEADER - 11 - TAG;

/// The identity of terminal `number`.
pub(crate) fn identity(number: u32) -> [u8; 8] {
    ((7_u64 << 48) | (5_000_000_000 + u64::from(number))).to_be_bytes()
}

/// A frame as it is before it is sealed.
pub(crate) struct Clear {
    pub(crate) terminal: [u8; 8],
    pub(crate) counter: u32,
    /// Of its one record.
    pub(crate) sequence: u32,
    pub(crate) epoch: u32,
    pub(crate) header: Vec<u8>,
    /// Padded.
    pub(crate) plaintext: Vec<u8>,
}

pub(crate) struct Frames {
    keys: Vec<SecretKey>,
    /// Bodies of a household's days in order.
    days: Vec<Vec<Vec<u8>>>,
    epoch: u32,
    now_utc_s: u32,
    next: u64,
}

/// Runs `work` on the parts of 0 to `count` in as many threads as there are cores.
fn in_parallel<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().unwrap().get() as u64;
    let part = count.div_ceil(threads).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let starts = (0..count).step_by(part as usize);
        let handles: Vec<_> = starts
            .map(|from| {
                let to = (from + part).min(count);
                scope.spawn(move || (from..to).map(work).collect::<Vec<T>>())
            })
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap())
            .collect()
    })
}

fn body(household: &mut Household, day: u16) -> Vec<u8> {
    Record::Everyday(household.day(day))
        .body_before_mac()
        .unwrap()
}

fn days_of(seed: u32, first_day: u16) -> Vec<Vec<u8>> {
    let days = |mut household: Household| -> Vec<Vec<u8>> {
        (first_day..first_day + DAYS)
            .map(|day| body(&mut household, day))
            .collect()
    };
    let household = Household::new(seed.into(), Profile::Quiet);
    let whole = days(household.clone());
    let fits = |body: &Vec<u8>| body.len() + 7 <= ITEM_MAX;
    if whole.iter().all(fits) {
        return whole;
    }
    let short = days(household.without_pressures());
    assert!(short.iter().all(fits), "a day fits a routine frame");
    short
}

impl Frames {
    pub(crate) fn new(terminals: u32) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_utc_s = now.unwrap().as_secs() as u32;
        let first_day = (now_utc_s / 86_400) as u16 - DAYS - 1;
        let master = SecretKey::new(&LINK_MASTER).unwrap();
        let keys = in_parallel(terminals.into(), |number| {
            let owner = Owner {
                utility: Utility(UTILITY),
                identity: Identity(identity(number as u32)),
            };
            let base: BaseKey = base_key(&master, &owner, Purpose::Link, KEY_VERSION).unwrap();
            traffic_key(&base, &owner, Mode::CcmStatic, Direction::Uplink, &[]).unwrap()
        });
        Self {
            keys,
            days: (0..HOUSEHOLDS)
                .map(|seed| days_of(seed, first_day))
                .collect(),
            // Another one in each run, so that a server that was kept sees new records.
            epoch: now_utc_s,
            now_utc_s,
            next: 0,
        }
    }

    /// The counter of the first frame that [`Self::take`] will give.
    pub(crate) fn next_counter(&self) -> u32 {
        (self.next + 1) as u32
    }

    /// The next `count` frames.
    pub(crate) fn take(&mut self, count: usize) -> Vec<[u8; FRAME]> {
        let from = self.next;
        self.next += count as u64;
        let this = &*self;
        in_parallel(count as u64, |index| this.frame(from + index))
    }

    fn frame(&self, index: u64) -> [u8; FRAME] {
        let (number, header, plaintext) = self.content(index);
        let key = &self.keys[number as usize];
        let frame = uplink(&header, plaintext, FRAME, Some(key)).unwrap();
        frame.try_into().expect("a routine frame")
    }

    /// What a server keeps of the next `count` frames, unsealed.
    pub(crate) fn take_clear(&mut self, count: usize) -> Vec<Clear> {
        let from = self.next;
        self.next += count as u64;
        let this = &*self;
        in_parallel(count as u64, |index| {
            let (number, header, mut plaintext) = this.content(from + index);
            plaintext.resize(FRAME - HEADER - TAG, 0);
            Clear {
                terminal: identity(number),
                counter: header.counter,
                sequence: this.round(from + index) as u32 + 1,
                epoch: this.epoch,
                header: header.octets(),
                plaintext,
            }
        })
    }

    /// How often all terminals had their turn before frame `index`.
    fn round(&self, index: u64) -> u64 {
        index / self.keys.len() as u64
    }

    /// Terminal, header and plaintext of frame `index`.
    fn content(&self, index: u64) -> (u32, UplinkHeader, Vec<u8>) {
        let terminals = self.keys.len() as u64;
        let number = ((index % terminals) * STRIDE % terminals) as u32;
        let round = self.round(index);
        let days = &self.days[(number % HOUSEHOLDS) as usize];
        let report = Report {
            stamp: Stamp::Set {
                utc_s: self.now_utc_s,
                uncertainty: 2,
            },
            epoch: self.epoch,
            slot_version: 0,
            following: 0,
            command: None,
        };
        let mut record = Writer::new();
        record.varint(round + 1);
        record.bytes(&days[round as usize % days.len()]);
        let mut plaintext = Writer::new();
        report.encode(&mut plaintext).unwrap();
        plaintext.item(0x01, &record.into_vec()).unwrap();
        let header = UplinkHeader {
            mode: Mode::CcmStatic,
            alarm: false,
            answer: true,
            key_version: KEY_VERSION,
            identity: Identity(identity(number)),
            counter: (index + 1) as u32,
            ticket: [0; 8],
            nt: [0; 8],
        };
        (number, header, plaintext.into_vec())
    }
}
