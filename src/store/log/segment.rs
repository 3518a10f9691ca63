//! The segments of an open log, as all of its parts share them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::error::ReadError;
use super::header;
use super::index::IndexState;
use crate::model::Lsn;

/// Octets that are read at once.
pub(super) const BLOCK: usize = 1 << 20;
const EXTENSION: &str = ".klog";
const INDEX_EXTENSION: &str = ".kidx";
/// Behind the extension of a file that is being made.
const UNFINISHED: &str = ".new";

/// The name of a segment's file: its base in 20 digits.
pub(super) fn file_name(base: u64) -> String {
    format!("{base:020}{EXTENSION}")
}

/// The name of a segment's file before its header is durable.
pub(super) fn unfinished_name(base: u64) -> String {
    format!("{}{UNFINISHED}", file_name(base))
}

/// Whether a file is a segment or an index that was never begun: nothing in it was told durable.
pub(super) fn is_unfinished(name: &str) -> bool {
    let finished = name.strip_suffix(UNFINISHED);
    finished.is_some_and(|name| base_of(name).or_else(|| base_of_index(name)).is_some())
}

fn index_name(base: u64) -> String {
    format!("{base:020}{INDEX_EXTENSION}")
}

/// The base that a segment's file name tells; none for another file.
pub(super) fn base_of(name: &str) -> Option<u64> {
    base_before(name, EXTENSION)
}

/// The base that an index's file name tells; none for another file.
pub(super) fn base_of_index(name: &str) -> Option<u64> {
    base_before(name, INDEX_EXTENSION)
}

fn base_before(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?;
    let is_plain = digits.len() == 20 && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// One segment. The last one of a log is active, all others are sealed.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: u64,
    pub(super) path: PathBuf,
    pub(super) index_path: PathBuf,
    /// The position after its last octet, once it is sealed.
    pub(super) sealed_end: OnceLock<u64>,
    pub(super) index: Mutex<IndexState>,
    /// Held while an index is checked or made.
    pub(super) index_making: Mutex<()>,
}

impl Segment {
    pub(super) fn new(dir: &Path, base: u64, index: IndexState) -> Self {
        Self {
            base,
            path: dir.join(file_name(base)),
            index_path: dir.join(index_name(base)),
            sealed_end: OnceLock::new(),
            index: Mutex::new(index),
            index_making: Mutex::new(()),
        }
    }

    /// Where its index is made.
    pub(super) fn unfinished_index_path(&self) -> PathBuf {
        let mut path = self.index_path.clone().into_os_string();
        path.push(UNFINISHED);
        path.into()
    }

    /// Where its first frame stands.
    pub(super) fn first_frame(&self) -> u64 {
        self.base.saturating_add(header::LEN)
    }

    pub(super) fn io(&self, cause: std::io::Error) -> ReadError {
        ReadError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}

/// All segments of an open log, oldest first; never empty.
#[derive(Debug)]
pub(super) struct Segments(pub(super) RwLock<Vec<Arc<Segment>>>);

impl Segments {
    pub(super) fn first(&self) -> Lsn {
        Lsn::new(self.0.read().first().map_or(0, |segment| segment.base))
    }

    pub(super) fn count(&self) -> usize {
        self.0.read().len()
    }

    /// The segment that holds a position.
    pub(super) fn holding(&self, position: u64) -> Result<Arc<Segment>, ReadError> {
        let segments = self.0.read();
        let after = segments.partition_point(|segment| segment.base <= position);
        let held = after.checked_sub(1).and_then(|at| segments.get(at));
        held.cloned().ok_or_else(|| ReadError::Gone {
            position: Lsn::new(position),
            first: Lsn::new(segments.first().map_or(0, |segment| segment.base)),
        })
    }

    pub(super) fn snapshot(&self) -> Vec<Arc<Segment>> {
        self.0.read().clone()
    }
}
