//! Dropping what nobody needs any more, by whole segments.

use std::io;
use std::path::Path;

use super::error::RetainError;
use super::{CommitLog, Shared};
use crate::model::Lsn;

/// What was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retained {
    /// The oldest position that is kept.
    pub first: Lsn,
    /// Segments that were dropped.
    pub segments: usize,
    /// Octets of the log that were dropped.
    pub octets: u64,
}

impl CommitLog {
    /// Where the sealed segments end, the oldest first: the positions from which
    /// [`Self::retain_from`] leaves exactly what follows.
    #[must_use]
    pub fn sealed_ends(&self) -> Vec<Lsn> {
        let segments = self.shared.segments.snapshot();
        let ends = segments.iter().filter_map(|one| one.sealed_end.get());
        ends.map(|end| Lsn::new(*end)).collect()
    }
}

/// Drops the sealed segments that end at or before `lowest_needed`.
pub(super) fn retain_from(
    shared: &Shared,
    dir: &Path,
    lowest_needed: Lsn,
) -> Result<Retained, RetainError> {
    let fs = &*shared.fs;
    let before = shared.segments.first();
    let mut dropped = 0;
    loop {
        let oldest = shared.segments.0.read().first().cloned();
        let Some(oldest) = oldest else { break };
        let is_needed = oldest
            .sealed_end
            .get()
            .is_none_or(|end| *end > lowest_needed.get());
        if is_needed {
            break;
        }
        // Readers must not look for it once it is gone.
        shared.segments.0.write().remove(0);
        for path in [&oldest.index_path, &oldest.path] {
            match fs.remove(path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    let path = path.clone();
                    // What is still there is still a part of the log: dropping the next one
                    // before it would leave a hole.
                    shared.segments.0.write().insert(0, oldest.clone());
                    return Err(RetainError { path, cause });
                }
                _ => {}
            }
        }
        dropped += 1;
        // One at a time: a hole would be damage.
        fs.sync_dir(dir).map_err(|cause| RetainError {
            path: dir.to_owned(),
            cause,
        })?;
    }
    let first = shared.segments.first();
    Ok(Retained {
        first,
        segments: dropped,
        octets: first.saturating_since(before),
    })
}
