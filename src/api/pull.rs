//! `GET /v1/records`: a consumer pulls the records of its utility.
//!
//! The answer is lines of JSON: records, and last `{"schema":"kenshin.cursor/1","cursor":"…",
//! "more":…}`. Asking with `after=<cursor>` acknowledges everything up to it, which is durable
//! before the answer begins. An answer without its last line was cut: what it held is given again
//! to whoever asks with the cursor of before. Without `after` an answer begins where the last
//! acknowledgement was.
//!
//! The log is read in blocking threads, a piece at a time; while a poll waits it holds none.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use subtle::ConditionallySelectable as _;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::forward::lane::{FrameError, LaneCounts, Wanted, lines_of};
use crate::forward::{Sink, SinkError, Sinks};
use crate::keyring::UtilityId;
use crate::model::{Lanes, Lsn, Zone};
use crate::store::log::{FrameRef, LogReader, ReadError};
use crate::store::state::directory::SinkCursors;

use super::cursor::CursorKey;
use super::problem::Problem;
use super::serve::Stopping;
use super::token::Token;

/// Polls of one consumer at once.
pub const POLLS_MAX: usize = 4;
/// Records in an answer if the consumer names no number, and at most.
pub const RECORDS: (u64, u64) = (1_000, 20_000);
/// Octets of records in an answer at most, but for one frame's more.
pub const ANSWER_OCTETS: usize = 16 << 20;
/// Seconds that a poll may wait.
pub const WAIT_MAX_S: u64 = 60;
/// Octets of log that are looked at for one answer, other utilities' frames included.
const SCAN_OCTETS: u64 = 256 << 20;
/// Octets of text in a piece.
const PIECE_OCTETS: usize = 256 << 10;
/// Octets of frames that are read at once.
const READ_OCTETS: usize = 256 << 10;
/// The time between two looks of a poll that waits: under load the log grows all the time, mostly
/// by what is not this consumer's.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a consumer may leave a piece unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Somebody who may pull.
#[derive(Debug)]
pub struct Consumer {
    token: Token,
    cursors: CursorKey,
    utility: UtilityId,
    sink: Arc<Sink>,
    polls: Arc<Semaphore>,
}

impl Consumer {
    /// A consumer of one utility's records, with its cursors.
    #[must_use]
    pub fn new(token: Token, utility: UtilityId, sink: Arc<Sink>) -> Self {
        Self {
            cursors: CursorKey::new(sink.name(), &token),
            token,
            utility,
            sink,
            polls: Arc::new(Semaphore::new(POLLS_MAX)),
        }
    }
}

#[derive(Debug)]
struct Api {
    sinks: Arc<Sinks>,
    zone: Zone,
    consumers: Vec<Arc<Consumer>>,
}

/// The route of `/v1/records`. `zone` is that of terminals that do not tell theirs.
pub fn router(sinks: Arc<Sinks>, zone: Zone, consumers: Vec<Consumer>) -> Router {
    let api = Arc::new(Api {
        sinks,
        zone,
        consumers: consumers.into_iter().map(Arc::new).collect(),
    });
    Router::new()
        .route("/v1/records", get(records))
        .with_state(api)
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AskedLane {
    Alarm,
    Bulk,
    #[default]
    All,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    after: Option<String>,
    lane: AskedLane,
    max: Option<u64>,
    wait_s: u64,
}

/// Why a piece cannot be read.
#[derive(Debug, thiserror::Error)]
enum PieceError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the thread that read the log ended without an answer")]
    Thread(#[from] tokio::task::JoinError),
}

/// A poll under way.
struct Poll {
    api: Arc<Api>,
    consumer: Arc<Consumer>,
    lanes: Lanes,
    /// Up to where each lane is in the answer.
    cursors: SinkCursors,
    /// Behind the last record of each lane in the answer; the beginning if there is none.
    records_to: SinkCursors,
    records_left: u64,
    octets_left: usize,
    scan_left: u64,
    /// Where the last piece ended; none if a frame stands there that was read and not taken.
    reader: Option<LogReader>,
    piece: Vec<u8>,
    /// Records of the piece.
    piece_records: LaneCounts,
    records: u64,
    /// Whether the log may have more for this poll.
    more: bool,
    /// Held as long as the answer is under way.
    _permit: OwnedSemaphorePermit,
}

async fn records(
    State(api): State<Arc<Api>>,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response<Body>, Problem> {
    let consumer = consumer_of(&api, &headers).ok_or_else(Problem::unknown_token)?;
    let Query(asked) = query.map_err(|error| Problem::wrong(error.body_text()))?;
    let waiting = Arc::clone(&consumer.polls).try_acquire_owned();
    let permit = waiting.map_err(|_| {
        Problem::too_many(format!(
            "a consumer may have {POLLS_MAX} requests under way"
        ))
    })?;
    let mut poll = begin(api, consumer, &asked, permit).await?;
    let wait = Duration::from_secs(asked.wait_s);
    let stop = stopping.map(|Extension(Stopping(stop))| stop);
    poll = fill(poll, wait, stop.unwrap_or_default()).await?;
    let (reader, writer) = tokio::io::duplex(PIECE_OCTETS);
    tokio::spawn(send(poll, writer));
    let mut response = Response::new(Body::from_stream(ReaderStream::new(reader)));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The consumer of a token. All are compared, in constant time each.
fn consumer_of(api: &Api, headers: &HeaderMap) -> Option<Arc<Consumer>> {
    let header = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = header.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let token = Token::parse(token).ok()?;
    let mut found = u32::MAX;
    for (place, consumer) in (0_u32..).zip(&api.consumers) {
        found = u32::conditional_select(&found, &place, consumer.token.is(&token));
    }
    let found = usize::try_from(found).ok()?;
    api.consumers.get(found).cloned()
}

/// Checks what is asked, and makes durable what it acknowledges.
async fn begin(
    api: Arc<Api>,
    consumer: Arc<Consumer>,
    asked: &Asked,
    permit: OwnedSemaphorePermit,
) -> Result<Poll, Problem> {
    let max = asked.max.unwrap_or(RECORDS.0);
    if max == 0 || max > RECORDS.1 {
        return Err(Problem::wrong(format!("`max` is 1 to {}", RECORDS.1)));
    }
    if asked.wait_s > WAIT_MAX_S {
        return Err(Problem::wrong(format!("`wait_s` is 0 to {WAIT_MAX_S}")));
    }
    let lanes = match asked.lane {
        AskedLane::Alarm => Lanes::ALARM,
        AskedLane::Bulk => Lanes::BULK,
        AskedLane::All => Lanes::ALARM.with(Lanes::BULK),
    };
    let mut cursors = consumer.sink.reached();
    if let Some(after) = &asked.after {
        let read = consumer.cursors.read(after);
        let end = api.sinks.log().durable_end();
        let read = read.filter(|read| read.alarm.max(read.bulk) <= end);
        cursors = read.ok_or_else(no_cursor)?;
        acknowledge(&api, &consumer, lanes, cursors).await?;
    }
    Ok(Poll {
        api,
        consumer,
        lanes,
        cursors,
        records_to: SinkCursors {
            alarm: Lsn::ZERO,
            bulk: Lsn::ZERO,
        },
        records_left: max,
        octets_left: ANSWER_OCTETS,
        scan_left: SCAN_OCTETS,
        reader: None,
        piece: Vec::new(),
        piece_records: LaneCounts::default(),
        records: 0,
        more: true,
        _permit: permit,
    })
}

async fn acknowledge(
    api: &Arc<Api>,
    consumer: &Arc<Consumer>,
    lanes: Lanes,
    cursors: SinkCursors,
) -> Result<(), Problem> {
    let (sinks, sink) = (Arc::clone(&api.sinks), Arc::clone(&consumer.sink));
    let kept = spawn_blocking(move || sinks.acknowledge(&sink, lanes, cursors)).await;
    let name = consumer.sink.name();
    match kept {
        Ok(Ok(())) => Ok(()),
        Ok(Err(SinkError::Position { .. } | SinkError::Beyond { .. })) => Err(no_cursor()),
        Ok(Err(error)) => Err(not_kept(name, &error)),
        Err(error) => Err(not_kept(name, &error)),
    }
}

fn no_cursor() -> Problem {
    Problem::wrong("`after` is no cursor of this consumer: send one as it was given")
}

fn not_kept(consumer: &str, error: &dyn std::error::Error) -> Problem {
    tracing::warn!(consumer, %error, "Acknowledgement of a consumer not kept.");
    Problem::unavailable("the acknowledgement could not be kept: ask again with the same cursor")
}

/// Reads the first piece, and waits for one that is not empty.
async fn fill(mut poll: Poll, wait: Duration, stop: CancellationToken) -> Result<Poll, Problem> {
    let mut ends = poll.api.sinks.log().subscribe();
    let limit = tokio::time::sleep(wait);
    tokio::pin!(limit);
    loop {
        ends.mark_unchanged();
        let paced = tokio::time::sleep(LOOK_EVERY);
        poll = next_piece(poll).await.map_err(|error| unread(&error))?;
        let is_over = limit.is_elapsed() || wait.is_zero() || poll.scan_left == 0;
        if poll.records > 0 || (is_over && !poll.more) || poll.scan_left == 0 {
            return Ok(poll);
        }
        if poll.more {
            continue;
        }
        let grown = async {
            let moved = ends.changed().await;
            paced.await;
            moved
        };
        tokio::select! {
            // Nobody tells of further commits: there are none.
            moved = grown => if moved.is_err() {
                return Ok(poll);
            },
            () = &mut limit => {}
            () = stop.cancelled() => return Ok(poll),
        }
    }
}

fn unread(error: &PieceError) -> Problem {
    match error {
        PieceError::Read(ReadError::Gone { first, .. }) => Problem::gone(format!(
            "the log begins at position {first}: ask without `after`, or let the operator skip"
        )),
        error => {
            tracing::error!(%error, "Records cannot be read for a consumer.");
            Problem::unavailable("the records cannot be read now: ask the operator")
        }
    }
}

/// Sends the piece in hand and all others that belong to the answer, then the cursor.
async fn send(mut poll: Poll, mut writer: DuplexStream) {
    loop {
        if put(&mut writer, &poll.piece).await.is_none() {
            return;
        }
        poll.consumer.sink.note_given(poll.piece_records);
        if !poll.more || poll.is_full() {
            break;
        }
        poll = match next_piece(poll).await {
            Ok(poll) => poll,
            Err(error) => {
                // Without its last line the answer is known to be cut.
                tracing::error!(%error, "An answer to a consumer was cut.");
                return;
            }
        };
    }
    let consumer = &poll.consumer;
    consumer.sink.note_handed(poll.cursors, poll.records_to);
    let line = format!(
        "{{\"schema\":\"kenshin.cursor/1\",\"cursor\":\"{}\",\"more\":{}}}\n",
        consumer.cursors.write(poll.cursors),
        poll.more
    );
    if put(&mut writer, line.as_bytes()).await.is_some() {
        // A consumer that is gone asks again.
        writer.shutdown().await.ok();
    }
}

/// None if the consumer is gone or takes nothing any more.
async fn put(writer: &mut DuplexStream, octets: &[u8]) -> Option<()> {
    let writing = timeout(SEND_TIMEOUT, writer.write_all(octets));
    writing.await.ok()?.ok()
}

async fn next_piece(mut poll: Poll) -> Result<Poll, PieceError> {
    spawn_blocking(move || {
        poll.read_piece()?;
        Ok(poll)
    })
    .await?
}

impl Poll {
    /// Whether the answer holds what it may.
    const fn is_full(&self) -> bool {
        self.records_left == 0 || self.octets_left == 0 || self.scan_left == 0
    }

    /// Where the log is read next: at the lane that is further behind.
    fn position(&self) -> Lsn {
        match (
            self.lanes.meets(Lanes::ALARM),
            self.lanes.meets(Lanes::BULK),
        ) {
            (true, false) => self.cursors.alarm,
            (false, true) => self.cursors.bulk,
            _ => self.cursors.lowest(),
        }
    }

    /// All wanted lanes are in the answer up to here.
    fn pass(&mut self, to: Lsn) {
        if self.lanes.meets(Lanes::ALARM) {
            self.cursors.alarm = self.cursors.alarm.max(to);
        }
        if self.lanes.meets(Lanes::BULK) {
            self.cursors.bulk = self.cursors.bulk.max(to);
        }
    }

    /// Reads a piece. What stands before a part of the log that cannot be read is in an answer of
    /// its own, so that it can be acknowledged; the error comes to whoever asks for what follows.
    fn read_piece(&mut self) -> Result<(), PieceError> {
        self.piece.clear();
        self.piece_records = LaneCounts::default();
        self.more = true;
        match self.read_frames() {
            Err(error) if self.records > 0 => {
                let consumer = self.consumer.sink.name();
                tracing::error!(consumer, %error, "An answer to a consumer ends before its time.");
                self.scan_left = 0;
                Ok(())
            }
            read => read,
        }
    }

    /// Reads frames until the piece or the answer is full, or the log ends.
    fn read_frames(&mut self) -> Result<(), PieceError> {
        let from = self.position();
        let reader = self.reader.take();
        let reader = reader.filter(|reader| reader.position() == from);
        let mut reader =
            reader.unwrap_or_else(|| self.api.sinks.log().reader(from).lane(self.lanes));
        while self.piece.len() < PIECE_OCTETS && !self.is_full() {
            let before = reader.position();
            let frames = reader.next_batch(READ_OCTETS)?;
            for frame in frames.iter() {
                if self.is_full() || !self.take(&frame)? {
                    return Ok(());
                }
            }
            let read = reader.position().saturating_since(before);
            self.scan_left = self.scan_left.saturating_sub(read);
            self.pass(reader.position());
            if frames.is_empty() {
                self.more = false;
                break;
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    /// Takes a frame's records, all or, if there is no room for all, none. The first frame of an
    /// answer always has room. Returns whether it took them.
    fn take(&mut self, frame: &FrameRef<'_>) -> Result<bool, FrameError> {
        let start = self.piece.len();
        let mut lanes = Lanes::NONE;
        if self.lanes.meets(Lanes::ALARM) && self.cursors.alarm <= frame.lsn {
            lanes = lanes.with(Lanes::ALARM);
        }
        if self.lanes.meets(Lanes::BULK) && self.cursors.bulk <= frame.lsn {
            lanes = lanes.with(Lanes::BULK);
        }
        let wanted = Wanted {
            lanes,
            utility: Some(self.consumer.utility),
            zone: self.api.zone,
        };
        let by_lane = lines_of(frame, wanted, &mut self.piece)?;
        let records = by_lane.total();
        if records > self.records_left && self.records > 0 {
            self.piece.truncate(start);
            self.records_left = 0;
            return Ok(false);
        }
        let octets = self.piece.len().saturating_sub(start);
        self.piece_records = self.piece_records.plus(by_lane);
        self.records = self.records.saturating_add(records);
        self.records_left = self.records_left.saturating_sub(records);
        self.octets_left = self.octets_left.saturating_sub(octets);
        if records > 0 && lanes.meets(Lanes::ALARM) && frame.lanes.meets(Lanes::ALARM) {
            self.records_to.alarm = frame.next;
        }
        if records > 0 && lanes.meets(Lanes::BULK) && frame.lanes.meets(Lanes::BULK) {
            self.records_to.bulk = frame.next;
        }
        self.pass(frame.next);
        Ok(true)
    }
}
