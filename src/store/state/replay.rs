//! Folding many frames at once, when a log is read again.
//!
//! One frame at a time costs what the memory costs: the entries of a million terminals are in no
//! cache, and each look-up waits for several of its lines. A run of steps is therefore folded shard
//! by shard, so that a shard's index stays near, and shards are dealt to threads. A terminal is in
//! one shard, and what is about it is folded in the order of the log. Events touch what all
//! terminals share and are folded between the runs.

use core::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::fold::{FoldError, FoldFrame, KIND_STEP, State};

/// Steps that are worth the start of threads.
const RUN_MIN: usize = 512;

/// Folds frames in, which come in the order of the log, with so many threads. Ends as
/// [`State::fold`] for each of them would.
///
/// # Errors
///
/// [`FoldError`] of the first frame that cannot be folded; some that come after it may be folded
/// in by then.
pub fn fold_all(
    state: &State,
    frames: &[FoldFrame<'_>],
    threads: NonZeroUsize,
) -> Result<(), FoldError> {
    for run in frames.chunk_by(|a, b| a.kind == KIND_STEP && b.kind == KIND_STEP) {
        if run.len() < RUN_MIN {
            run.iter().try_for_each(|frame| state.fold(frame))?;
        } else {
            fold_run(state, run, threads)?;
        }
    }
    Ok(())
}

/// Folds a run of steps.
fn fold_run(state: &State, run: &[FoldFrame<'_>], threads: NonZeroUsize) -> Result<(), FoldError> {
    let shard_of = |frame: &FoldFrame<'_>| frame.terminal.map(|id| state.table.shard_of(id));
    let mut order: Vec<_> = run.iter().map(|frame| (shard_of(frame), frame)).collect();
    // Stable: the frames of a shard stay in the order of the log.
    order.sort_by_key(|(shard, _)| *shard);
    let shards: Vec<_> = order.chunk_by(|a, b| a.0 == b.0).collect();
    let next = AtomicUsize::new(0);
    let left_over = Mutex::new(Vec::new());
    let work = || {
        while let Some(shard) = shards.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (_, frame) in *shard {
                if let Some(outcome) = state.fold_step(frame).transpose() {
                    left_over.lock().push((frame.lsn, outcome));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            let other = std::thread::Builder::new().name("replay".into());
            // Without another thread this one does it all.
            other.spawn_scoped(scope, work).ok();
        }
        work();
    });
    let mut left_over = left_over.into_inner();
    left_over.sort_by_key(|(lsn, _)| *lsn);
    for (lsn, outcome) in left_over {
        state.stop_commands(lsn, outcome?);
    }
    Ok(())
}
