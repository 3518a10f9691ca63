//! A gateway on a connection: it keeps every line until it was told OK.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::air::Heard;
use super::answer::Answer;
use super::kept::{Kept, Line};
use super::plan::GatewayPlan;
use super::shared::Shared;
use crate::fleet::Fate;
use crate::random::{Random as _, Seeded};

/// Lines that may wait for their answers.
const WINDOW: usize = 64;
/// How long a gateway tries to connect, and waits for the answer to its greeting.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it waits after a connection ended, and after it was told to come later.
const PAUSE: Duration = Duration::from_millis(200);

/// How a connection ended, if not by an error of it.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// There is nothing left to hand over, or no time.
    Done,
    /// It was cut on purpose.
    Cut,
    /// The other side closed it, or said what makes no sense.
    Lost,
}

/// The two halves of a connection.
struct Connection {
    answers: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// The number of the last line.
    lines: u64,
}

pub(super) struct TcpGateway {
    plan: GatewayPlan,
    shared: Arc<Shared>,
    random: Seeded,
    heard: UnboundedReceiver<Heard>,
    /// Whether nothing more will be heard.
    is_silent: bool,
    kept: Kept,
    pause_until: Instant,
    /// Telegrams that were told safe, and when.
    told: Vec<(usize, u64)>,
}

impl TcpGateway {
    pub(super) fn new(
        plan: GatewayPlan,
        random: Seeded,
        heard: UnboundedReceiver<Heard>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            plan,
            shared,
            random,
            heard,
            is_silent: false,
            kept: Kept::default(),
            pause_until: Instant::now(),
            told: Vec::new(),
        }
    }

    /// Hands over all that is heard. Gives the telegrams that it was told OK for, each with when.
    pub(super) async fn run(mut self) -> Vec<(usize, u64)> {
        while !self.is_done() && Instant::now() < self.shared.end() {
            let ended = self.connection().await;
            self.kept.take_back();
            if !matches!(ended, Ok(End::Done | End::Cut)) {
                self.shared.counters.connection_failed();
                sleep(PAUSE).await;
            }
        }
        // What was heard while nobody listened was not taken up.
        while let Ok(Heard { telegram, line }) = self.heard.try_recv() {
            self.kept.hear(telegram, line);
        }
        self.shared.counters.leaves(self.kept.len());
        self.told
    }

    fn is_done(&self) -> bool {
        self.is_silent && self.kept.is_empty()
    }

    /// One connection from its begin to its end.
    async fn connection(&mut self) -> io::Result<End> {
        let opened = timeout(CONNECT, self.open()).await??;
        let Some(mut connection) = opened else {
            return Ok(End::Lost);
        };
        let end = self.shared.end();
        loop {
            if self.write(&mut connection).await? == Some(End::Cut) {
                return Ok(End::Cut);
            }
            if self.is_done() {
                return Ok(End::Done);
            }
            let now = Instant::now();
            let next = self.kept.next_at(now).map(|at| at.max(self.pause_until));
            let has_room = self.kept.unanswered() < WINDOW;
            tokio::select! {
                answer = connection.answers.next_line() => match answer? {
                    Some(answer) => {
                        if !self.answered(&answer) {
                            return Ok(End::Lost);
                        }
                    }
                    None => return Ok(End::Lost),
                },
                heard = self.heard.recv(), if !self.is_silent => match heard {
                    Some(Heard { telegram, line }) => self.kept.hear(telegram, line),
                    None => self.is_silent = true,
                },
                () = sleep_until(next.unwrap_or(end)), if has_room && next.is_some() => {}
                () = sleep_until(end) => return Ok(End::Done),
            }
        }
    }

    /// Connects and greets; none if the greeting was not welcome.
    async fn open(&self) -> io::Result<Option<Connection>> {
        let stream = TcpStream::connect(self.shared.settings.tcp).await?;
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let greeting = format!("TOKEN {}\n", self.plan.token);
        writer.write_all(greeting.as_bytes()).await?;
        let mut answers = BufReader::new(reader).lines();
        let answer = answers.next_line().await?.unwrap_or_default();
        let welcome = Answer::Ok {
            number: 0,
            is_copy: false,
        };
        if Answer::parse(&answer) != welcome {
            self.wrong(&answer);
            return Ok(None);
        }
        Ok(Some(Connection {
            answers,
            writer,
            lines: 0,
        }))
    }

    fn wrong(&self, answer: &str) {
        self.shared.counters.answered_wrong(self.plan.name, answer);
    }

    /// Writes what waits, as far as there is room.
    async fn write(&mut self, connection: &mut Connection) -> io::Result<Option<End>> {
        let now = Instant::now();
        while self.kept.unanswered() < WINDOW && self.pause_until <= now {
            let Some(line) = self.kept.next(now) else {
                break;
            };
            let fate = match line.was_late {
                true => Fate::Deliver,
                false => self.shared.fate(&mut self.random),
            };
            match fate {
                Fate::Deliver => self.write_line(connection, line).await?,
                Fate::Late(ms) => {
                    self.shared.counters.delays();
                    let until = now + Duration::from_millis(ms);
                    self.kept.hold_back(line, until);
                }
                Fate::Twice => {
                    self.shared.counters.doubles();
                    let double = line.double();
                    self.write_line(connection, line).await?;
                    self.write_line(connection, double).await?;
                }
                Fate::Lose => {
                    self.shared.counters.cut();
                    self.cut(connection, line).await?;
                    return Ok(Some(End::Cut));
                }
            }
        }
        Ok(None)
    }

    async fn write_line(&mut self, connection: &mut Connection, mut line: Line) -> io::Result<()> {
        self.shared.counters.wrote();
        if line.write() {
            self.shared.counters.wrote_again();
        }
        let text = line.text.clone();
        connection.lines += 1;
        self.kept.written(connection.lines, line);
        connection.writer.write_all(text.as_bytes()).await
    }

    /// Breaks off within a line, or behind it and before its answer.
    async fn cut(&mut self, connection: &mut Connection, line: Line) -> io::Result<()> {
        if self.random.up_to(1) == 0 {
            return self.write_line(connection, line).await;
        }
        let half = line.text.as_bytes().get(..line.text.len() / 2);
        let half = half.unwrap_or_default().to_vec();
        self.kept.put_back(line);
        connection.writer.write_all(&half).await
    }

    /// Takes an answer; says whether it makes sense.
    fn answered(&mut self, answer: &str) -> bool {
        let parsed = Answer::parse(answer);
        let (Answer::Ok { number, .. } | Answer::Busy { number }) = parsed else {
            self.wrong(answer);
            // Number 0 is about the connection. A line that was refused is refused again.
            return !answer.starts_with("ERR 0 ") && self.kept.take_oldest().is_some();
        };
        let Some((asked, line)) = self.kept.take_oldest() else {
            self.wrong(answer);
            return false;
        };
        if asked != number {
            self.wrong(answer);
            self.kept.again_later(line);
            return false;
        }
        match parsed {
            Answer::Ok { is_copy, .. } => self.told_ok(&line, is_copy),
            _ => {
                self.shared.counters.was_busy();
                self.pause_until = Instant::now() + PAUSE;
                self.kept.again_later(line);
            }
        }
        true
    }

    fn told_ok(&mut self, line: &Line, is_copy: bool) {
        let counters = &self.shared.counters;
        if is_copy {
            counters.was_copy();
        }
        if let Some(since) = line.since {
            counters.ack.record(since.elapsed());
        }
        if !line.is_double {
            counters.was_told_ok();
        }
        self.told.push((line.telegram, self.shared.happens()));
    }
}
