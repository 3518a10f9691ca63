//! A terminal in the hands of a test: frames with what the test wants in them, right or wrong,
//! sealed by the terminal's side. Mode 1.

use simulator::codec::frame::{ResyncHeader, UplinkHeader, aead_nonce, ladder};
use simulator::codec::record::{Alarm, AlarmNotice, MeterRef, Record, Register, Unit};
use simulator::codec::report::{Report, Stamp};
use simulator::codec::wire::Writer;
use simulator::crypto::{Cipher, SecretKey, seal};
use simulator::keys::{
    BaseKey, Direction, Identity, Mode, Owner, Purpose, Utility, base_key, traffic_key,
};

/// The version of all keys.
pub(crate) const KEY_VERSION: u8 = 1;
/// Octets of a tag of mode 1.
const TAG: usize = 8;

/// One item of a frame: its type, and its body with the sequence.
pub(crate) type Item = (u8, Vec<u8>);

pub(crate) struct Hand {
    pub(crate) identity: [u8; 8],
    owner: Owner,
    base: BaseKey,
    /// The counter of the next frame.
    pub(crate) counter: u32,
    /// The sequence of the next record.
    pub(crate) sequence: u32,
    pub(crate) epoch: u32,
    pub(crate) now_utc_s: u32,
}

/// The meter that every record is about.
pub(crate) const METER: MeterRef = MeterRef {
    slot: 0,
    generation: 0,
};

impl Hand {
    pub(crate) fn new(utility: [u8; 8], master: &[u8], identity: [u8; 8], now_utc_s: u32) -> Self {
        let owner = Owner {
            utility: Utility(utility),
            identity: Identity(identity),
        };
        let master = SecretKey::new(master).unwrap();
        Self {
            identity,
            base: base_key(&master, &owner, Purpose::Link, KEY_VERSION).unwrap(),
            owner,
            counter: 1,
            sequence: 1,
            epoch: now_utc_s,
            now_utc_s,
        }
    }

    fn key(&self, direction: Direction, nonces: &[u8]) -> SecretKey {
        traffic_key(&self.base, &self.owner, Mode::CcmStatic, direction, nonces).unwrap()
    }

    /// What nobody but the terminal and the server may know, without the master.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        let uplink = self.key(Direction::Uplink, &[]);
        vec![self.base.key.expose().to_vec(), uplink.expose().to_vec()]
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::Set {
            utc_s: self.now_utc_s,
            uncertainty: 2,
        }
    }

    fn report(&self) -> Report {
        Report {
            stamp: self.stamp(),
            epoch: self.epoch,
            slot_version: 0,
            following: 0,
            command: None,
        }
    }

    /// A record under the next sequence.
    pub(crate) fn item(&mut self, record: &Record) -> Item {
        let sequence = self.sequence;
        self.sequence += 1;
        item(sequence, record)
    }

    /// A reading of a register at some time.
    pub(crate) fn reading(at_utc_s: u32, unit: Unit, value: u64) -> Record {
        Self::reading_of(METER, at_utc_s, unit, value)
    }

    pub(crate) fn reading_of(meter: MeterRef, at_utc_s: u32, unit: Unit, value: u64) -> Record {
        Record::RegisterReading {
            stamp: Stamp::Set {
                utc_s: at_utc_s,
                uncertainty: 2,
            },
            meter,
            cause: 1,
            register: Register { unit, value },
        }
    }

    pub(crate) fn alarm(&self) -> Record {
        Record::AlarmNotice(AlarmNotice {
            stamp: self.stamp(),
            meter: METER,
            snapshot: false,
            valve: 1,
            flow_category: 0,
            register: None,
            panel: Vec::new(),
            alarms: vec![Alarm {
                alarm: 2,
                state: 1,
                code: *b"02",
            }],
        })
    }

    /// A reading of now in the next frame.
    pub(crate) fn routine(&mut self) -> Vec<u8> {
        let record = Self::reading(
            self.now_utc_s,
            Unit::LITRE,
            1_000 + u64::from(self.sequence),
        );
        let item = self.item(&record);
        self.frame(&[item], false)
    }

    /// The next frame, with these items.
    pub(crate) fn frame(&mut self, items: &[Item], alarm: bool) -> Vec<u8> {
        let counter = self.counter;
        self.counter += 1;
        self.frame_at(counter, items, alarm)
    }

    pub(crate) fn frame_at(&self, counter: u32, items: &[Item], alarm: bool) -> Vec<u8> {
        let plaintext = self.plaintext(items);
        let header = self.header(counter, alarm);
        let octets = header.octets().len() + plaintext.len() + TAG;
        self.seal(&header, plaintext, ladder(octets).unwrap())
    }

    /// A frame one octet longer than its ladder has it.
    pub(crate) fn off_ladder(&mut self) -> Vec<u8> {
        let record = Self::reading(
            self.now_utc_s,
            Unit::LITRE,
            1_000 + u64::from(self.sequence),
        );
        let item = self.item(&record);
        let header = self.header(self.counter, false);
        self.counter += 1;
        self.seal(&header, self.plaintext(&[item]), 129)
    }

    /// A frame whose content is no report.
    pub(crate) fn unreadable(&mut self) -> Vec<u8> {
        let header = self.header(self.counter, false);
        self.counter += 1;
        self.seal(&header, vec![0xFF; 40], 128)
    }

    fn header(&self, counter: u32, alarm: bool) -> UplinkHeader {
        UplinkHeader {
            mode: Mode::CcmStatic,
            alarm,
            answer: true,
            key_version: KEY_VERSION,
            identity: self.owner.identity,
            counter,
            ticket: [0; 8],
            nt: [0; 8],
        }
    }

    fn plaintext(&self, items: &[Item]) -> Vec<u8> {
        let mut plaintext = Writer::new();
        self.report().encode(&mut plaintext).unwrap();
        for (number, body) in items {
            plaintext.item(*number, body).unwrap();
        }
        plaintext.into_vec()
    }

    fn seal(&self, header: &UplinkHeader, mut plaintext: Vec<u8>, octets: usize) -> Vec<u8> {
        let mut frame = header.octets();
        plaintext.resize(octets - frame.len() - TAG, 0);
        let key = self.key(Direction::Uplink, &[]);
        let nonce = aead_nonce(&self.identity, header.counter);
        let sealed = seal(Cipher::Ccm, &key, &nonce, &frame, &plaintext).unwrap();
        frame.extend_from_slice(&sealed);
        frame
    }

    /// A RESYNC; one that cannot be decoded has nothing but ones in it.
    pub(crate) fn resync(&self, nr: [u8; 16], decodes: bool) -> Vec<u8> {
        let header = ResyncHeader {
            mode: Mode::CcmStatic,
            key_version: KEY_VERSION,
            identity: self.owner.identity,
            nr,
        };
        let key = self.key(Direction::Resync, &nr);
        if decodes {
            return simulator::codec::frame::resync(&header, &self.report(), 1, &key).unwrap();
        }
        let mut frame = header.octets();
        let plaintext = vec![0xFF; 64 - frame.len() - TAG];
        let nonce = aead_nonce(&self.identity, 0);
        let sealed = seal(Cipher::Ccm, &key, &nonce, &frame, &plaintext).unwrap();
        frame.extend_from_slice(&sealed);
        frame
    }
}

/// A record under a sequence.
pub(crate) fn item(sequence: u32, record: &Record) -> Item {
    let mut body = Writer::new();
    body.varint(sequence.into());
    body.bytes(&record.body_before_mac().unwrap());
    (record.number(), body.into_vec())
}

/// The sequence, and a body that no record of the type has.
pub(crate) fn damaged(sequence: u32) -> Item {
    let mut body = Writer::new();
    body.varint(sequence.into());
    body.bytes(&[0xFF; 3]);
    (0x02, body.into_vec())
}
