//! Connections: each frame behind its length as u16.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::path::local_address;
use crate::codec::frame::MAX_FRAME;

/// How long a terminal tries to connect.
const CONNECT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// What came and is no whole frame yet.
    waiting: Vec<u8>,
    /// Ends with the connection.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) struct TcpPath {
    server: SocketAddr,
    from: SocketAddr,
    is_held: bool,
    connections: Arc<Semaphore>,
    connection: Option<Connection>,
}

/// Terminals come from many addresses where the system lets them, or ports would run out.
fn source(server: SocketAddr, index: u32) -> SocketAddr {
    let [.., low] = (index % 200).to_be_bytes();
    if cfg!(target_os = "linux") && server.is_ipv4() && server.ip().is_loopback() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, low + 1)), 0)
    } else {
        local_address(server)
    }
}

/// Takes a whole frame off the front; an error is a length that no frame has.
fn take_frame(waiting: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some((length, rest)) = waiting.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(frame) = rest.get(..length).map(<[u8]>::to_vec) else {
        return Ok(None);
    };
    waiting.drain(..length + 2);
    Ok(Some(frame))
}

impl Connection {
    async fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(frame) = take_frame(&mut self.waiting)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.waiting).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl TcpPath {
    pub(super) fn new(
        server: SocketAddr,
        index: u32,
        is_held: bool,
        connections: Arc<Semaphore>,
    ) -> Self {
        Self {
            server,
            from: source(server, index),
            is_held,
            connections,
            connection: None,
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let permit = Arc::clone(&self.connections).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let socket = if self.server.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.bind(self.from)?;
        let stream = timeout(CONNECT, socket.connect(self.server)).await??;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            waiting: Vec::new(),
            _permit: permit,
        })
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
        }
        match self.connection.as_mut() {
            Some(connection) => connection.stream.write_all(octets).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) async fn send(&mut self, frame: &[u8]) -> bool {
        let length = u16::try_from(frame.len()).unwrap_or(0);
        let octets = [&length.to_be_bytes(), frame].concat();
        let sent = self.write(&octets).await.is_ok();
        if !sent {
            self.connection = None;
        }
        sent
    }

    /// `None` if there is no connection, or no more.
    pub(super) async fn receive(&mut self) -> Option<Vec<u8>> {
        let frame = self.connection.as_mut()?.next_frame().await;
        if frame.is_err() {
            self.connection = None;
        }
        frame.ok()
    }

    pub(super) fn rest(&mut self) {
        if !self.is_held {
            self.connection = None;
        }
    }

    pub(super) fn cut(&mut self) {
        self.connection = None;
    }

    pub(super) async fn keep_alive(&mut self) {
        if self.connection.is_some() && self.write(&[0, 0]).await.is_err() {
            self.connection = None;
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held && self.connection.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_by_their_lengths() {
        let mut waiting = vec![0, 2, 0x1F, 0, 0, 3, 1, 2];
        assert_eq!(take_frame(&mut waiting).unwrap(), Some(vec![0x1F, 0]));
        assert_eq!(take_frame(&mut waiting).unwrap(), None);
        waiting.push(3);
        assert_eq!(take_frame(&mut waiting).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(take_frame(&mut waiting).unwrap(), None);
        assert!(take_frame(&mut vec![0, 0]).is_err());
        assert!(take_frame(&mut vec![0x05, 0]).is_err());
    }
}
