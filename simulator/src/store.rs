//! Records from their making until the server has told them safe.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::codec::EncodeError;
use crate::codec::record::Record;
use crate::codec::record_body::MAX_RECORD;
use crate::codec::wire::{Writer, varint_len};
use crate::command::is_dangerous;
use crate::crypto::{SecretKey, cmac};
use crate::keys::Identity;
use crate::nvm::Working;

/// A record with its sequence and its octets, fixed from the moment it is stored.
// spec: REC-6
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record sequence.
    pub sequence: u32,
    /// The record.
    pub record: Arc<Record>,
    /// Its body after the sequence, MAC included.
    pub body: Arc<[u8]>,
}

impl Stored {
    /// Its item: type, length, sequence, body.
    ///
    /// # Errors
    /// None in practice; bodies are limited when they are stored.
    // spec: REC-11
    pub fn item(&self) -> Result<Vec<u8>, EncodeError> {
        let mut body = Writer::new();
        body.varint(u64::from(self.sequence));
        body.bytes(&self.body);
        let mut w = Writer::new();
        w.item(self.record.number(), &body.into_vec())?;
        Ok(w.into_vec())
    }

    /// Octets of its item.
    #[must_use]
    pub fn item_len(&self) -> usize {
        let body = varint_len(u64::from(self.sequence)) + self.body.len();
        1 + varint_len(u64::try_from(body).unwrap_or(u64::MAX)) + body
    }

    fn rank(&self) -> u8 {
        match self.record.as_ref() {
            Record::AlarmNotice(_) => 0,
            Record::CommandResult(_) | Record::ValveState(_) => 1,
            _ => 2,
        }
    }

    /// What a full store drops first: readings, then what names meters, then alarms and results.
    // spec: REC-10
    fn dearness(&self) -> u8 {
        match self.record.as_ref() {
            Record::AlarmNotice(_) | Record::CommandResult(_) | Record::ValveState(_) => 2,
            Record::MeterTable(_) | Record::MeterExchange { .. } | Record::TerminalInfo { .. } => 1,
            _ => 0,
        }
    }

    /// Whether it is sent at once and again until it is told safe.
    // spec: SES-3
    #[must_use]
    pub fn urgent(&self) -> bool {
        match self.record.as_ref() {
            Record::AlarmNotice(_) => true,
            Record::CommandResult(r) => is_dangerous(r.kind),
            _ => false,
        }
    }
}

/// A record that the server has promised to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldSafe {
    /// Store epoch.
    pub epoch: u32,
    /// Record sequence.
    pub sequence: u32,
    /// The record.
    pub record: Arc<Record>,
    /// Its body after the sequence, as it was sent.
    pub body: Arc<[u8]>,
}

/// Seals proofs: the terminal's command key for results.
#[derive(Debug)]
pub struct ProofKey<'a> {
    /// The derived key, direction 1.
    pub key: &'a SecretKey,
    /// The terminal.
    pub identity: Identity,
}

/// The store in working memory. It changes together with non-volatile memory, by the caller.
#[derive(Debug)]
pub struct Store {
    epoch: u32,
    next: u32,
    capacity: usize,
    records: BTreeMap<u32, Stored>,
    archive: VecDeque<Stored>,
    left: Option<(u32, u32)>,
}

const ARCHIVE: usize = 64;

impl Store {
    /// From what non-volatile memory kept; `None` when the record store was lost.
    #[must_use]
    pub fn load(working: &Working, capacity: usize) -> Option<Self> {
        Some(Self {
            epoch: working.epoch?,
            next: working.next_sequence.max(1),
            capacity,
            records: working.records.clone(),
            archive: VecDeque::new(),
            left: working.left_epoch,
        })
    }

    /// An empty one.
    #[must_use]
    pub fn empty(epoch: u32, capacity: usize) -> Self {
        Self {
            epoch,
            next: 1,
            capacity,
            records: BTreeMap::new(),
            archive: VecDeque::new(),
            left: None,
        }
    }

    /// The store epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Unacknowledged records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether all is told safe.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether an alarm notice is not told safe.
    #[must_use]
    pub fn has_alarm(&self) -> bool {
        self.records.values().any(|r| r.rank() == 0)
    }

    /// Whether something is to be sent at once and again until it is told safe.
    #[must_use]
    pub fn has_urgent(&self) -> bool {
        self.records.values().any(Stored::urgent)
    }

    /// The epoch that was left, as long as a record that was made in it is not told safe.
    // spec: REC-28
    #[must_use]
    pub fn left_epoch(&self) -> Option<u32> {
        let (epoch, end) = self.left?;
        self.records.range(..end).next().map(|_| epoch)
    }

    /// That epoch and the first sequence that is not of it.
    #[must_use]
    pub fn left(&self) -> Option<(u32, u32)> {
        self.left
    }

    /// Gives a record the next sequence and its octets; it is not in the store yet.
    ///
    /// # Errors
    /// A record without an encoding, or a proof without a key.
    // spec: REC-6, CMD-14
    pub fn prepare(
        &self,
        record: Record,
        key: Option<&ProofKey<'_>>,
    ) -> Result<Stored, EncodeError> {
        seal_record(self.epoch, self.next, record, key)
    }

    /// Takes a prepared record in.
    pub fn insert(&mut self, stored: Stored) {
        self.next = self.next.max(stored.sequence.saturating_add(1));
        self.records.insert(stored.sequence, stored);
    }

    /// Whether the sequences of this epoch are used up.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.next == u32::MAX
    }

    /// What must go before another record fits: the oldest reading, and an alarm or a result only
    /// when nothing else is left.
    // spec: REC-10
    #[must_use]
    pub fn to_drop(&self) -> Option<u32> {
        if self.records.len() < self.capacity {
            return None;
        }
        self.records
            .values()
            .min_by_key(|r| (r.dearness(), r.sequence))
            .map(|r| r.sequence)
    }

    /// Drops a record.
    pub fn forget(&mut self, sequence: u32) -> Option<Stored> {
        self.records.remove(&sequence)
    }

    /// A record is safe.
    // spec: ANS-2, REC-10
    pub fn told_safe(&mut self, epoch: u32, sequence: u32) -> Option<ToldSafe> {
        if epoch != self.epoch {
            return None;
        }
        let stored = self.records.remove(&sequence)?;
        if self.archive.len() >= ARCHIVE {
            self.archive.pop_front();
        }
        self.archive.push_back(stored.clone());
        let Stored {
            sequence,
            record,
            body,
        } = stored;
        Some(ToldSafe {
            epoch,
            sequence,
            record,
            body,
        })
    }

    /// The records of a range that are still held: how many, and those that were told safe, to be
    /// taken up again as they were.
    #[must_use]
    pub fn recall(&self, first: u32, count: u16) -> (u16, Vec<Stored>) {
        let end = first.saturating_add(u32::from(count));
        let waiting = self.records.range(first..end).count();
        let again: Vec<Stored> = self
            .archive
            .iter()
            .filter(|r| (first..end).contains(&r.sequence))
            .filter(|r| !self.records.contains_key(&r.sequence))
            .cloned()
            .collect();
        (
            u16::try_from(waiting + again.len()).unwrap_or(u16::MAX),
            again,
        )
    }

    /// Unacknowledged records in the order of sending.
    // spec: REC-30
    #[must_use]
    pub fn order(&self) -> Vec<Stored> {
        let mut all: Vec<Stored> = self.records.values().cloned().collect();
        all.sort_by_key(|r| {
            let age = if r.rank() == 0 {
                u32::MAX - r.sequence
            } else {
                r.sequence
            };
            (r.rank(), age)
        });
        all
    }

    /// The same records under a new epoch; only their proofs are made again.
    ///
    /// `key` gives the result key of a version, or of a later one when that is no longer held.
    ///
    /// # Errors
    /// A proof without a key.
    // spec: REC-2, REC-6, CMD-14
    pub fn renewed(
        &self,
        epoch: u32,
        asked: bool,
        mut key: impl FnMut(u8) -> Option<(u8, SecretKey, Identity)>,
    ) -> Result<Self, EncodeError> {
        let mut new = Self::empty(epoch, self.capacity);
        new.left = if asked {
            Some((self.epoch, self.next))
        } else {
            None
        };
        new.next = self.next;
        for old in self.records.values() {
            let mut record = old.record.as_ref().clone();
            let mut held = None;
            if let Some(proof) = record.proof_mut() {
                held = key(proof.key_version);
                if let Some((version, ..)) = &held {
                    proof.key_version = *version;
                }
            }
            let proof = held.as_ref().map(|(_, key, identity)| ProofKey {
                key,
                identity: *identity,
            });
            let stored = seal_record(epoch, old.sequence, record, proof.as_ref())?;
            new.insert(stored);
        }
        Ok(new)
    }

    /// All unacknowledged records by sequence.
    pub fn records(&self) -> impl Iterator<Item = &Stored> {
        self.records.values()
    }

    /// Unacknowledged records from a sequence on.
    pub fn records_from(&self, sequence: u32) -> impl Iterator<Item = &Stored> {
        self.records.range(sequence..).map(|(_, stored)| stored)
    }

    /// The next sequence.
    #[must_use]
    pub fn next_sequence(&self) -> u32 {
        self.next
    }
}

// spec: CMD-14, REC-26, REC-33
fn seal_record(
    epoch: u32,
    sequence: u32,
    mut record: Record,
    key: Option<&ProofKey<'_>>,
) -> Result<Stored, EncodeError> {
    let mut body = record.body_before_mac()?;
    let number = record.number();
    if let Some(proof) = record.proof_mut() {
        let ProofKey { key, identity } = key.ok_or(EncodeError::BadValue("command key"))?;
        let (epoch, sequence) = (epoch.to_be_bytes(), sequence.to_be_bytes());
        let parts = [
            b"OTL1 res".as_slice(),
            &identity.0,
            &epoch,
            &sequence,
            &[number],
            body.as_slice(),
        ];
        proof.mac = cmac(key, &parts)?;
        body.extend_from_slice(&proof.mac);
    }
    let (record, body) = (Arc::new(record), Arc::from(body));
    let stored = Stored {
        sequence,
        record,
        body,
    };
    if stored.item_len() > MAX_RECORD {
        Err(EncodeError::TooLong)
    } else {
        Ok(stored)
    }
}
