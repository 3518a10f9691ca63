//! The socket of a running server.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat};
use socket2::{Domain, SockAddr, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::OPERATORS_MAX;

use super::desk::Desk;
use super::protocol::{ASK_MAX_OCTETS, AnswerLine, Trouble, read_ask};

/// Connections that wait to be taken.
const BACKLOG: i32 = 16;
/// How long a connection may be silent, and how long a line may take in either direction.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait after the system refused to hand a connection over.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// There is a file of another kind.
    #[error(
        "{} is there and is no socket: remove it, or choose another admin.socket",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// A process answers there.
    #[error(
        "another process listens on {}: choose another admin.socket for one of both",
        .0.display()
    )]
    InUse(PathBuf),
    /// The socket cannot be made.
    #[error(
        "cannot make the admin socket {}: {cause}; admin.socket chooses another path, of at most \
         107 octets",
        path.display()
    )]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// A socket that listens, and that only its owner can connect to. Dropping it removes it.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
}

impl Socket {
    /// Makes the socket. The caller holds the lock of the data folder: a socket without a process
    /// that is there is one of a server that was killed, and is replaced.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        clear(path)?;
        let listener = bind_closed(path).map_err(|cause| ListenError::Io {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is replaced by the next server.
        nix::unistd::unlink(&self.path).ok();
    }
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<(), ListenError> {
    let failed = |cause| ListenError::Io {
        path: path.to_owned(),
        cause,
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::InTheWay(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            nix::unistd::unlink(path).map_err(|errno| failed(errno.into()))
        }
        Err(error) => Err(failed(error)),
    }
}

/// A socket of mode 0600 from the moment that its file exists: the file takes the mode of the
/// socket that is bound to it, and nobody can connect before it listens.
fn bind_closed(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let owner_only = Mode::S_IRUSR | Mode::S_IWUSR;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    fchmod(&socket, owner_only)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // A umask may have taken away what the owner needs.
    let follow = FchmodatFlags::FollowSymlink;
    fchmodat(nix::fcntl::AT_FDCWD, path, owner_only, follow)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The socket at work.
#[derive(Debug)]
pub struct AdminServer {
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl AdminServer {
    /// Answers on a socket until it is stopped.
    ///
    /// # Errors
    ///
    /// The runtime does not take the socket.
    pub fn start(socket: Socket, desk: Arc<Desk>, runtime: &Handle) -> Result<Self, ListenError> {
        let _context = runtime.enter();
        let failed = |cause| ListenError::Io {
            path: socket.path.clone(),
            cause,
        };
        let listener = socket.listener.try_clone().map_err(failed)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        let server = Self {
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        };
        let (tasks, stopping) = (server.tasks.clone(), server.stopping.clone());
        server.tasks.spawn_on(
            async move {
                tokio::select! {
                    () = accept(&listener, &desk, &tasks, &stopping) => {}
                    () = stopping.cancelled() => {}
                }
                // The name goes before the last connection does.
                drop(socket);
            },
            runtime,
        );
        Ok(server)
    }

    /// Takes no more questions, and waits for those that are being answered.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for AdminServer {
    /// A server that does not start, or is dropped, leaves no socket behind.
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn accept(
    listener: &UnixListener,
    desk: &Arc<Desk>,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(usize::try_from(OPERATORS_MAX).unwrap_or(1)));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "The admin socket hands no connection over.");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        tasks.spawn(serve(stream, place, Arc::clone(desk), stopping.clone()));
    }
}

/// Answers one connection. Nobody waits for a reader that does not read, or for a line that does
/// not end.
async fn serve(
    stream: UnixStream,
    place: Option<OwnedSemaphorePermit>,
    desk: Arc<Desk>,
    stopping: CancellationToken,
) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    if place.is_none() {
        let message = format!("{OPERATORS_MAX} operators are connected: try again");
        say(&mut write, Err(Trouble::new("busy", message))).await;
        return;
    }
    loop {
        let mut line = Vec::new();
        let most = u64::try_from(ASK_MAX_OCTETS).unwrap_or(u64::MAX);
        let mut bounded = (&mut read).take(most.saturating_add(1));
        let reading = timeout(PATIENCE, bounded.read_until(b'\n', &mut line));
        let read = tokio::select! {
            read = reading => read,
            () = stopping.cancelled() => return,
        };
        if !matches!(read, Ok(Ok(1..))) {
            return;
        }
        if line.len() > ASK_MAX_OCTETS {
            let message = format!("a line has at most {ASK_MAX_OCTETS} octets");
            say(&mut write, Err(Trouble::new("too_long", message))).await;
            return;
        }
        let ask = read_ask(&line);
        drop(line);
        let ask = match ask {
            Ok(ask) => ask,
            Err(trouble) => {
                // After a line of another protocol, the next one is hardly better.
                say(&mut write, Err(trouble)).await;
                return;
            }
        };
        let desk = Arc::clone(&desk);
        // What has begun is ended, also when the server stops: it may be durable already.
        let answered = tokio::task::spawn_blocking(move || desk.answer(ask)).await;
        let outcome = answered.unwrap_or_else(|_| {
            let message = "the server made a mistake: look at its log lines";
            Err(Trouble::new("unavailable", message))
        });
        if !say(&mut write, outcome).await {
            return;
        }
    }
}

/// Writes a line. Returns whether it was taken.
async fn say(
    write: &mut tokio::net::unix::OwnedWriteHalf,
    outcome: Result<super::Answer, Trouble>,
) -> bool {
    // Every answer has a form in JSON.
    let Ok(mut line) = serde_json::to_vec(&AnswerLine::of(outcome)) else {
        return false;
    };
    line.push(b'\n');
    matches!(timeout(PATIENCE, write.write_all(&line)).await, Ok(Ok(())))
}
