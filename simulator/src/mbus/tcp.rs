//! A gateway on a connection: it keeps every line until it was told OK.

use std::collections::VecDeque;
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

/// A line that is kept.
#[derive(Debug)]
struct Line {
    telegram: usize,
    text: String,
    /// When it was first written.
    since: Option<Instant>,
    /// Written a second time on purpose: nobody misses it.
    is_double: bool,
}

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
    waiting: VecDeque<Line>,
    /// Lines that were written, with their numbers.
    unanswered: VecDeque<(u64, Line)>,
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
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
            pause_until: Instant::now(),
            told: Vec::new(),
        }
    }

    /// Hands over all that is heard. Gives the telegrams that it was told OK for, each with when.
    pub(super) async fn run(mut self) -> Vec<(usize, u64)> {
        while !self.is_done() && Instant::now() < self.shared.end() {
            match self.connection().await {
                Ok(End::Done | End::Cut) => {}
                Ok(End::Lost) | Err(_) => self.shared.counters.connection_failed(),
            }
            self.take_back();
            if !self.is_done() {
                sleep(PAUSE).await;
            }
        }
        self.shared.counters.leaves(self.waiting.len());
        self.told
    }

    fn is_done(&self) -> bool {
        self.is_silent && self.waiting.is_empty() && self.unanswered.is_empty()
    }

    /// Whatever was not answered waits again, before all else and in its order.
    fn take_back(&mut self) {
        while let Some((_, line)) = self.unanswered.pop_back() {
            if !line.is_double {
                self.waiting.push_front(line);
            }
        }
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
            let is_held_up = !self.waiting.is_empty() && self.unanswered.len() < WINDOW;
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
                    Some(Heard { telegram, line }) => self.waiting.push_back(Line {
                        telegram,
                        text: line,
                        since: None,
                        is_double: false,
                    }),
                    None => self.is_silent = true,
                },
                () = sleep_until(self.pause_until), if is_held_up => {}
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
        while self.unanswered.len() < WINDOW && self.pause_until <= Instant::now() {
            let Some(line) = self.waiting.pop_front() else {
                break;
            };
            let (text, telegram) = (line.text.clone(), line.telegram);
            match self.shared.fate(&mut self.random) {
                Fate::Deliver => self.write_line(connection, line).await?,
                Fate::Late(ms) => {
                    self.shared.counters.delays();
                    sleep(Duration::from_millis(ms)).await;
                    self.write_line(connection, line).await?;
                }
                Fate::Twice => {
                    self.shared.counters.doubles();
                    self.write_line(connection, line).await?;
                    let double = Line {
                        telegram,
                        text,
                        since: None,
                        is_double: true,
                    };
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
        if line.since.is_some() {
            self.shared.counters.wrote_again();
        }
        line.since.get_or_insert_with(Instant::now);
        let text = line.text.clone();
        connection.lines += 1;
        self.unanswered.push_back((connection.lines, line));
        connection.writer.write_all(text.as_bytes()).await
    }

    /// Breaks off within a line, or behind it and before its answer.
    async fn cut(&mut self, connection: &mut Connection, line: Line) -> io::Result<()> {
        if self.random.up_to(1) == 0 {
            return self.write_line(connection, line).await;
        }
        let half = line.text.as_bytes().get(..line.text.len() / 2);
        let half = half.unwrap_or_default().to_vec();
        self.waiting.push_front(line);
        connection.writer.write_all(&half).await
    }

    /// Takes an answer; says whether it makes sense.
    fn answered(&mut self, answer: &str) -> bool {
        let parsed = Answer::parse(answer);
        let (Answer::Ok { number, .. } | Answer::Busy { number }) = parsed else {
            self.wrong(answer);
            // A line that was refused is refused again.
            let refused = self.unanswered.pop_front();
            return refused.is_some() && !answer.starts_with("ERR 0 ");
        };
        let Some((asked, line)) = self.unanswered.pop_front() else {
            self.wrong(answer);
            return false;
        };
        if asked != number {
            self.wrong(answer);
            self.unanswered.push_front((asked, line));
            return false;
        }
        match parsed {
            Answer::Ok { is_copy, .. } => self.told_ok(&line, is_copy),
            _ => {
                self.shared.counters.was_busy();
                self.pause_until = Instant::now() + PAUSE;
                if !line.is_double {
                    self.waiting.push_back(line);
                }
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
