//! The other end of the socket. Blocks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{
    ANSWER_MAX_OCTETS, ASK_MAX_OCTETS, Answer, AnswerLine, Ask, AskLine, Trouble, VERSION,
};

/// How long an answer may take: a large import on a slow disk needs some seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No server listens on the socket.
    #[error("no server listens on {}", .0.display())]
    NotServed(PathBuf),
    /// The socket cannot be used.
    #[error("cannot use the admin socket {}: {cause}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The connection ended before the answer did.
    #[error(
        "the server on {} ended before it answered: look whether what was asked was done, and ask \
         again",
        .0.display()
    )]
    Ended(PathBuf),
    /// No answer came in time.
    #[error(
        "the server on {} gave no answer within {} s: it may still do what was asked; look, and \
         ask again",
        .0.display(), PATIENCE.as_secs()
    )]
    Late(PathBuf),
    /// What came is no answer.
    #[error("what answers on {} speaks another protocol", .0.display())]
    NoAnswer(PathBuf),
    /// What is asked is too long for a line.
    #[error("what is asked has more than {ASK_MAX_OCTETS} octets")]
    TooLong,
    /// The server answered, and does not do it.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// A connection to a running server.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`CallError::NotServed`] if no server is there, [`CallError::Io`] for anything else.
    pub fn connect(path: &Path) -> Result<Self, CallError> {
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                CallError::NotServed(path.to_owned())
            }
            _ => CallError::Io {
                path: path.to_owned(),
                cause,
            },
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn ask(&mut self, ask: Ask) -> Result<Answer, CallError> {
        let question = AskLine { v: VERSION, ask };
        // Every question has a form in JSON.
        let mut line = serde_json::to_vec(&question).unwrap_or_default();
        line.push(b'\n');
        if line.len() > ASK_MAX_OCTETS {
            return Err(CallError::TooLong);
        }
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                CallError::Ended(self.path.clone())
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                CallError::Late(self.path.clone())
            }
            _ => CallError::Io {
                path: self.path.clone(),
                cause,
            },
        };
        // A server that is busy says so and closes, maybe before it has read the question: its
        // answer counts, and not that writing failed.
        let sent = self.stream.get_mut().write_all(&line);
        let mut answer = Vec::new();
        let most = u64::try_from(ANSWER_MAX_OCTETS).unwrap_or(u64::MAX);
        let read = (&mut self.stream).take(most).read_until(b'\n', &mut answer);
        if answer.last() != Some(&b'\n') {
            sent.map_err(failed)?;
            read.map_err(failed)?;
            return Err(CallError::Ended(self.path.clone()));
        }
        let line: Option<AnswerLine> = serde_json::from_slice(&answer).ok();
        match line.map(|line| (line.ok, line.error)) {
            Some((Some(answer), None)) => Ok(answer),
            Some((None, Some(trouble))) => Err(trouble.into()),
            _ => Err(CallError::NoAnswer(self.path.clone())),
        }
    }
}
