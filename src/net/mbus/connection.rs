//! The life of one connection of a gateway.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::answers::{Answers, write};
use super::contract::{Answer, Gateway, Heard, Transport};
use super::framer::{LineFramer, Overlong};
use super::gate::{Gate, Stranger, token_of};
use super::places::Taken;
use crate::wire::mbus::lines::{LineError, read_line};

/// Octets of one read.
const READ_OCTETS: usize = 4_096;
/// How long a connection may take nothing of what it is answered.
const UNREAD: Duration = Duration::from_secs(30);
/// How long the end of a connection may take.
const LINGER: Duration = Duration::from_secs(2);

/// For how long a connection may do what, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LineLimits {
    /// Until its gateway is known, and from the first octet of a line to its last.
    pub(super) line_ms: u64,
    /// Without any octet.
    pub(super) silence_ms: u64,
}

/// Lines and times of one connection.
struct Session {
    gate: Gate,
    peer: SocketAddr,
    /// Whose certificate was shown.
    by_certificate: Option<Gateway>,
    gateway: Option<Gateway>,
    framer: LineFramer,
    answers: Answers,
    out: Vec<u8>,
    lines: u64,
    heard_ms: u64,
    /// When it was opened, or the line begun that is not whole.
    begun_ms: Option<u64>,
    is_ending: bool,
    /// What is said at the end, after all answers.
    farewell: Option<(u64, Answer)>,
}

/// Serves a connection until it ends. `by_certificate` is whose certificate it showed.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    peer: SocketAddr,
    by_certificate: Option<Gateway>,
    mut place: Taken,
    limits: LineLimits,
    gate: Gate,
) {
    let mut session = Session::new(gate, peer, by_certificate);
    if session.by_certificate.is_some() {
        session.note_known(&mut place);
    }
    let mut buffer = [0; READ_OCTETS];
    loop {
        session.read_lines(&mut place);
        session.answers.write_known(&mut session.out);
        session.say_farewell();
        if !session.out.is_empty() {
            let is_written = tokio::select! {
                () = place.has_to_end() => return,
                is_written = flush(&mut stream, &session.out) => is_written,
            };
            if !is_written {
                return;
            }
            session.out.clear();
            continue;
        }
        if session.is_over() {
            break;
        }
        let wait = session.time_left(&limits);
        let reads = !session.is_ending && !session.answers.is_full();
        let gate = session.gate.clone();
        tokio::select! {
            () = place.has_to_end() => return,
            () = place.has_to_make_way(), if place.is_known() && !session.is_ending => {
                session.make_way();
            }
            () = gate.stopping.cancelled(), if !session.is_ending => session.is_ending = true,
            () = session.answers.first_is_known(), if !session.answers.is_empty() => {}
            read = stream.read(&mut buffer), if reads => match read {
                Ok(0) | Err(_) => session.is_ending = true,
                Ok(len) => session.arrived(buffer.get(..len).unwrap_or_default()),
            },
            () = tokio::time::sleep(wait), if reads => session.time_passed(&limits),
        }
    }
    // Whoever has to end lingers no longer: the place is somebody else's.
    tokio::select! {
        () = place.has_to_end() => {}
        () = end(stream) => {}
    }
}

async fn flush<S: AsyncWrite + Unpin>(stream: &mut S, out: &[u8]) -> bool {
    let written = async {
        stream.write_all(out).await?;
        stream.flush().await
    };
    matches!(tokio::time::timeout(UNREAD, written).await, Ok(Ok(())))
}

/// Ends the sending half, and reads what comes until the other side ends too: closing with unread
/// octets would take the last answers with it.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let lingering = async {
        stream.shutdown().await.ok()?;
        let mut buffer = [0; READ_OCTETS];
        while stream.read(&mut buffer).await.ok()? > 0 {}
        Some(())
    };
    tokio::time::timeout(LINGER, lingering).await.ok();
}

impl Session {
    fn new(gate: Gate, peer: SocketAddr, by_certificate: Option<Gateway>) -> Self {
        let now_ms = gate.clock.monotonic_ms();
        let gateway = by_certificate.clone().or_else(|| gate.by_address(peer));
        Self {
            begun_ms: gateway.is_none().then_some(now_ms),
            gate,
            peer,
            by_certificate,
            gateway,
            framer: LineFramer::default(),
            answers: Answers::default(),
            out: Vec::new(),
            lines: 0,
            heard_ms: now_ms,
            is_ending: false,
            farewell: None,
        }
    }

    fn arrived(&mut self, octets: &[u8]) {
        self.heard_ms = self.gate.clock.monotonic_ms();
        self.framer.feed(octets);
        // Its registration may have ended meanwhile.
        let ended = self
            .gateway
            .take_if(|gateway| !self.gate.handler.is_current(gateway));
        if ended.is_some() {
            self.by_certificate = None;
            self.gate.refuse(Stranger::Unknown);
            let (id, text) = (
                "unknown_gateway",
                "the registration of this gateway has ended",
            );
            self.end_with(0, id, text.to_owned());
        }
    }

    /// Its place is its gateway's from now on.
    fn note_known(&self, place: &mut Taken) {
        if let Some(gateway) = &self.gateway
            && place.note_known(&gateway.name)
        {
            self.gate.counters.evicted_same_gateway.add(1);
        }
    }

    /// Takes whole lines while their answers have room.
    fn read_lines(&mut self, place: &mut Taken) {
        let mut has_spoken = false;
        let before = self.lines;
        while !self.is_ending && !self.answers.is_full() {
            let line = match self.framer.next() {
                Ok(Some(line)) => line.trim_ascii().to_vec(),
                Ok(None) => break,
                Err(Overlong) => {
                    let error = LineError::TooLong;
                    self.gate.handler.unread(Transport::Tcp, error.id());
                    let number = self.lines.saturating_add(1);
                    self.end_with(number, error.id(), error.to_string());
                    break;
                }
            };
            has_spoken = true;
            if !line.is_empty() {
                self.read_line(&line);
            }
        }
        if has_spoken {
            // Not before: behind one address may be gateways that name tokens.
            self.note_known(place);
        }
        let is_waiting = self.gateway.is_none() || self.framer.is_mid_line();
        if is_waiting && self.lines > before {
            // The line that is not whole began behind one that was.
            self.begun_ms = Some(self.heard_ms);
        } else if is_waiting && !self.answers.is_full() {
            self.begun_ms.get_or_insert(self.heard_ms);
        } else {
            self.begun_ms = None;
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        let token = token_of(line).filter(|_| self.lines == 0);
        if token.is_some() || self.gateway.is_none() {
            let known = self.by_certificate.as_ref();
            match self.gate.identify(self.peer, known, token) {
                Ok(gateway) => self.gateway = Some(gateway),
                Err(stranger) => {
                    self.gateway = None;
                    return self.end_with(0, stranger.id(), stranger.text().to_owned());
                }
            }
            if token.is_some() {
                return self.answers.now(0, Answer::Durable { is_copy: false });
            }
        }
        self.lines = self.lines.saturating_add(1);
        self.gate.counters.lines_in.add(1);
        let Some(gateway) = &self.gateway else { return };
        match read_line(line) {
            Ok(line) => {
                let (answer, later) = oneshot::channel();
                self.answers.later(self.lines, later);
                let heard = Heard {
                    transport: Transport::Tcp,
                    telegram: &line.telegram,
                    heard_utc_ms: line.heard_utc_ms,
                    rssi_dbm: line.rssi_dbm,
                };
                self.gate.handler.receive(gateway, heard, answer);
            }
            Err(error) => {
                self.gate.handler.unread(Transport::Tcp, error.id());
                let (id, text) = (error.id(), error.to_string());
                self.answers.now(self.lines, Answer::Refused { id, text });
            }
        }
    }

    /// Takes no further line. What was taken is answered.
    fn make_way(&mut self) {
        let text = "a newer connection has the place of this one".to_owned();
        self.end_with(0, "too_many_connections", text);
    }

    fn end_with(&mut self, number: u64, id: &'static str, text: String) {
        self.is_ending = true;
        self.farewell = Some((number, Answer::Refused { id, text }));
    }

    fn say_farewell(&mut self) {
        if self.answers.is_empty()
            && let Some((number, answer)) = self.farewell.take()
        {
            write(&mut self.out, number, &answer);
        }
    }

    fn is_over(&self) -> bool {
        self.is_ending && self.answers.is_empty() && self.out.is_empty()
    }

    /// Until when something has to happen, by the clock that never goes back.
    fn deadline_ms(&self, limits: &LineLimits) -> u64 {
        let silent = self.heard_ms.saturating_add(limits.silence_ms);
        let begun = self
            .begun_ms
            .map(|begun| begun.saturating_add(limits.line_ms));
        begun.map_or(silent, |begun| begun.min(silent))
    }

    fn time_left(&self, limits: &LineLimits) -> Duration {
        let now_ms = self.gate.clock.monotonic_ms();
        let left = self.deadline_ms(limits).saturating_sub(now_ms);
        // Whoever moves the clock of a test is noticed in time.
        Duration::from_millis(left.clamp(1, 1_000))
    }

    fn time_passed(&mut self, limits: &LineLimits) {
        if self.deadline_ms(limits) <= self.gate.clock.monotonic_ms() {
            self.gate.counters.timeouts.add(1);
            let text = "nothing, or not all of a line, came in time".to_owned();
            self.end_with(0, "timeout", text);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
