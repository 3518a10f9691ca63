//! What the tests of the log share: an observer that remembers, and appends that can be told apart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin::model::{Lanes, Lsn, TerminalId};
use kenshin::store::fs::{Fs, SimFs};
use kenshin::store::log::{
    Append, CommitLog, CommitObserver, DurableFrame, LogOptions, OpenError, Refused, Ticket,
};
use parking_lot::Mutex;

/// A frame as somebody was told of it, or read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) lsn: Lsn,
    pub(crate) next: Lsn,
    pub(crate) kind: u8,
    pub(crate) lanes: Lanes,
    pub(crate) terminal: Option<TerminalId>,
    pub(crate) payload: Vec<u8>,
}

/// A frame that is durable, and its ticket.
pub(crate) type Durable = (Seen, Option<Ticket>);

/// What an observer was told.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) durable: Arc<Mutex<Vec<Durable>>>,
    pub(crate) refused: Arc<Mutex<Vec<(Ticket, Refused)>>>,
    /// Frames of each batch.
    pub(crate) batches: Arc<Mutex<Vec<usize>>>,
}

impl CommitObserver for Told {
    fn durable(&mut self, frames: &[DurableFrame<'_>]) {
        self.batches.lock().push(frames.len());
        self.durable.lock().extend(frames.iter().map(|frame| {
            let seen = Seen {
                lsn: frame.lsn,
                next: frame.next,
                kind: frame.kind,
                lanes: frame.lanes,
                terminal: frame.terminal,
                payload: frame.payload.to_vec(),
            };
            (seen, frame.ticket)
        }));
    }

    fn refused(&mut self, ticket: &Ticket, why: Refused) {
        self.refused.lock().push((*ticket, why));
    }
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("data/log")
}

/// Small segments, no floors.
pub(crate) fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 4_096,
        floor_bytes: 0,
        urgent_floor_bytes: 0,
        ..LogOptions::default()
    }
}

pub(crate) fn terminal(number: u64) -> TerminalId {
    TerminalId::new(number.to_be_bytes())
}

/// A frame of a terminal with a payload of this length that tells its number.
pub(crate) fn append(number: u64, len: usize) -> Append {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(len.max(8), number.to_le_bytes()[0]);
    Append {
        kind: 1,
        lanes: if number.is_multiple_of(5) {
            Lanes::ALARM
        } else {
            Lanes::BULK
        },
        urgent: false,
        terminal: Some(terminal(1 + number % 7)),
        payload,
        guard: None,
        ticket: Some(Ticket {
            owner: 0,
            slot: 0,
            token: number,
            begun_us: None,
        }),
    }
}

pub(crate) fn open(fs: &SimFs, told: &Told) -> Result<CommitLog, OpenError> {
    open_with(fs, told, options())
}

pub(crate) fn open_with(
    fs: &SimFs,
    told: &Told,
    options: LogOptions,
) -> Result<CommitLog, OpenError> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    CommitLog::open(fs, &dir(), options, Box::new(told.clone()))
}

/// All frames from a position on.
pub(crate) fn read_all(log: &CommitLog, from: Lsn) -> Vec<Seen> {
    let mut reader = log.reader(from);
    let mut frames = Vec::new();
    loop {
        let batch = reader.next_batch(10_000).unwrap();
        if batch.is_empty() {
            assert_eq!(reader.position(), log.durable_end());
            return frames;
        }
        frames.extend(batch.iter().map(|frame| Seen {
            lsn: frame.lsn,
            next: frame.next,
            kind: frame.kind,
            lanes: frame.lanes,
            terminal: frame.terminal,
            payload: frame.payload.to_vec(),
        }));
    }
}

/// The segment files in order, with their content.
pub(crate) fn segments(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    files(fs, ".klog")
}

pub(crate) fn files(fs: &SimFs, extension: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut names = fs.list(&dir()).unwrap();
    names.retain(|name| name.ends_with(extension));
    names.sort();
    let paths = names.iter().map(|name| dir().join(name));
    paths
        .map(|path| (path.clone(), fs.content(&path).unwrap()))
        .collect()
}

/// A disk with these files.
pub(crate) fn disk<'a>(files: impl IntoIterator<Item = (&'a Path, Vec<u8>)>) -> SimFs {
    let fs = SimFs::new();
    for (path, content) in files {
        fs.put(path, content);
    }
    fs
}
