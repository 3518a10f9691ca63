//! Folding again what came after a snapshot, while the log is checked.
//!
//! What the log shows is gathered until it is much, so that a shard of the table has hundreds of
//! steps among it, and is folded on all cores then.

use core::num::NonZeroUsize;
use std::ops::Range;

use crate::model::{Lsn, TerminalId};
use crate::store::log::FrameRef;
use crate::store::state::fold::FoldFrame;
use crate::store::state::replay::fold_all;
use crate::store::state::{FoldError, State};

/// Octets of payloads that are folded at a time.
const BATCH_OCTETS: usize = 32 << 20;

/// Frames that are folded in, those of the last batch not yet.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    state: &'a State,
    threads: NonZeroUsize,
    payloads: Vec<u8>,
    gathered: Vec<Gathered>,
    frames: u64,
    failed: Option<FoldError>,
}

/// A frame whose payload is among those that were gathered.
#[derive(Debug)]
struct Gathered {
    lsn: Lsn,
    kind: u8,
    terminal: Option<TerminalId>,
    payload: Range<usize>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self {
            state,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            payloads: Vec::new(),
            gathered: Vec::new(),
            frames: 0,
            failed: None,
        }
    }

    /// Takes the next frame of the log. After one that cannot be folded, none is.
    pub(super) fn take(&mut self, frame: &FrameRef<'_>) {
        let from = self.payloads.len();
        self.payloads.extend_from_slice(frame.payload);
        self.gathered.push(Gathered {
            lsn: frame.lsn,
            kind: frame.kind,
            terminal: frame.terminal,
            payload: from..self.payloads.len(),
        });
        if self.payloads.len() >= BATCH_OCTETS {
            self.fold();
        }
    }

    fn fold(&mut self) {
        if self.failed.is_none() {
            let frames = self.gathered.iter().map(|frame| FoldFrame {
                lsn: frame.lsn,
                kind: frame.kind,
                terminal: frame.terminal,
                payload: self.payloads.get(frame.payload.clone()).unwrap_or_default(),
                raises_version: false,
            });
            let frames: Vec<_> = frames.collect();
            self.failed = fold_all(self.state, &frames, self.threads).err();
            let folded = u64::try_from(frames.len()).unwrap_or(u64::MAX);
            self.frames = self.frames.saturating_add(folded);
        }
        self.gathered.clear();
        self.payloads.clear();
    }

    /// Folds what is left. Tells how many frames there were.
    ///
    /// # Errors
    ///
    /// [`FoldError`] of the first frame that cannot be folded.
    pub(super) fn end(mut self) -> Result<u64, FoldError> {
        self.fold();
        self.failed.map_or(Ok(self.frames), Err)
    }
}
