//! HTTP connections within bounds: how many there are, what each may hold, how long it may take.
//!
//! Whoever connects is unknown until its request is read, so that a head has a deadline and a
//! largest size, an idle connection ends, and so does one whose other side takes nothing. Beyond
//! [`HttpLimits::connections_max`] the next connection is accepted when one has ended.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The longest time that [`serve`] takes to end once it is told to.
pub const STOP_MAX: Duration = Duration::from_secs(5);
/// How long a request that is under way may take once the server stops.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long a request that is under way may take once its connection is too old.
const AGE_GRACE: Duration = Duration::from_secs(120);
/// The pause after a failed accept: for want of descriptors, the next would fail as well.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// The bounds. None of them is zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpLimits {
    /// Connections at once.
    pub connections_max: usize,
    /// From the opening, or from the end of an answer, to the end of the next request's head.
    pub head: Duration,
    /// For how long the other side may take nothing of an answer.
    pub unread: Duration,
    /// How old a connection gets before it ends with the answer that is under way.
    pub age: Duration,
    /// Octets of a request's head; at least 8,192.
    pub head_octets: usize,
    /// Octets of a request's body that a handler is given.
    pub body_octets: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 128,
            head: Duration::from_secs(15),
            unread: Duration::from_secs(30),
            age: Duration::from_secs(600),
            head_octets: 16_384,
            body_octets: 65_536,
        }
    }
}

/// Is cancelled when the server stops, so that a poll that waits ends with what it has.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

/// Serves connections until `stop` is cancelled, then those under way for a short time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    let router = router
        .layer(DefaultBodyLimit::max(limits.body_octets))
        .layer(Extension(Stopping(stop.clone())));
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Ok((stream, place)) = accepted else {
            sleep(FAILURE_PAUSE).await;
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn(async move {
            talk(stream, router, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    // Each ends by itself within the grace.
    timeout(STOP_MAX, tasks.wait()).await.ok();
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Small answers leave at once; without it they leave a little later.
    stream.set_nodelay(true).ok();
    Ok((stream, place))
}

/// Serves one connection to its end.
async fn talk(stream: TcpStream, router: Router, limits: HttpLimits, stop: CancellationToken) {
    let stream = Impatient {
        stream,
        limit: limits.unread,
        blocked: None,
    };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_octets)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    // What is wrong with a connection is its other side's affair.
    let grace = tokio::select! {
        _ = serving.as_mut() => return,
        () = stop.cancelled() => STOP_GRACE,
        () = sleep(limits.age) => AGE_GRACE,
    };
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        _ = timeout(grace, serving) => {}
        () = after(&stop, STOP_GRACE) => {}
    }
}

async fn after(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    sleep(grace).await;
}

/// A stream that fails when its other side takes nothing for too long.
#[derive(Debug)]
struct Impatient {
    stream: TcpStream,
    limit: Duration,
    /// Runs while a write waits.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let limit = self.limit;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(limit)));
        match blocked.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
