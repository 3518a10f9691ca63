//! What the log of a server holds, read from its files.

use std::ops::ControlFlow;
use std::path::Path;

use kenshin::model::{Lsn, SessionStep};
use kenshin::store::fs::RealFs;
use kenshin::store::log::survey;
use kenshin::store::state::fold::KIND_STEP;

/// Session frames of a log, and where it ends.
#[derive(Default)]
pub(crate) struct Logged {
    pub(crate) sessions: u64,
    /// Octets of the payloads of session frames: what state and sinks are made from.
    pub(crate) payload_octets: u64,
    /// Octets of clear header and verified plaintext in them: what came over the air.
    pub(crate) air_octets: u64,
    /// Octets of the row of segments, with all headers, footers and frames of other kinds.
    pub(crate) octets: u64,
    /// Octets of the indexes of segments that are ended.
    pub(crate) index_octets: u64,
    pub(crate) end: Lsn,
}

/// Looks at the log in a folder, from a position on.
pub(crate) fn since(folder: &Path, from: Lsn) -> Logged {
    let mut logged = Logged::default();
    let survey = survey(&RealFs, folder, from, &mut |frame| {
        if frame.kind == KIND_STEP {
            let step = SessionStep::decode(frame.payload).unwrap();
            logged.sessions += 1;
            logged.payload_octets += frame.payload.len() as u64;
            logged.air_octets += (step.header.len() + step.plaintext.len()) as u64;
        }
        ControlFlow::Continue(())
    });
    let survey = survey.unwrap();
    logged.end = survey.segments.last().unwrap().end;
    logged.octets = logged.end.get().saturating_sub(from.get());
    for segment in survey.segments.iter().filter(|one| one.base >= from) {
        let index = segment.path.with_extension("kidx").metadata();
        logged.index_octets += index.map_or(0, |index| index.len());
    }
    logged
}

/// Where the log in a folder ends.
pub(crate) fn end(folder: &Path) -> Lsn {
    since(folder, Lsn::new(u64::MAX)).end
}

/// The last session frame of a log: a pattern for others.
pub(crate) fn last_session(folder: &Path) -> Vec<u8> {
    let mut last = Vec::new();
    survey(&RealFs, folder, Lsn::ZERO, &mut |frame| {
        if frame.kind == KIND_STEP {
            frame.payload.clone_into(&mut last);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(!last.is_empty(), "the server logged sessions");
    last
}
