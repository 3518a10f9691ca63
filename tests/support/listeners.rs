//! A handler that obeys the first octet of a frame, and listeners around it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kenshin::net::admission::AdmissionLimits;
use kenshin::net::contract::{FrameHandler, Outgoing, PathId, Verdict, Waker};
use kenshin::net::{Drained, ListenerOptions, Listeners, StreamLimits, bind};
use kenshin::time::{Clock, TestClock};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

/// The first octet of a frame, and what becomes of it: it verifies and comes back at once.
pub const ECHO: u8 = b'E';
/// It verifies and comes back when the test releases it.
pub const HOLD: u8 = b'H';
/// It verifies, and its connection ends with CLOSE 2.
pub const TAKE_OVER: u8 = b'T';
/// It verifies and is answered with as many octets as fit.
pub const LARGE: u8 = b'L';
/// It verifies, and there is no room for it.
pub const SHED: u8 = b'S';
/// It does not authenticate.
pub const FORGED: u8 = b'F';
// Everything else is no frame.

/// Long enough for anything that has to happen, in a test that fails anyway if it does not.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough to see that nothing happens.
pub const SILENCE: Duration = Duration::from_millis(150);

/// The fake.
#[derive(Default)]
pub struct Obedient {
    wakers: Mutex<Vec<Arc<dyn Waker>>>,
    held: Mutex<Vec<(u16, Outgoing)>>,
    ready: Mutex<HashMap<u16, Vec<Outgoing>>>,
    pending: AtomicUsize,
    pub closed: Mutex<Vec<PathId>>,
    pub owners: Mutex<Vec<u16>>,
}

impl Obedient {
    /// How many frames wait to be released.
    pub fn held(&self) -> usize {
        self.held.lock().len()
    }

    /// Lets all held frames be answered by their owners.
    pub fn release(&self) {
        for (owner, outgoing) in self.held.lock().drain(..) {
            self.ready.lock().entry(owner).or_default().push(outgoing);
            self.wakers.lock()[usize::from(owner)].wake();
        }
    }
}

impl FrameHandler for Obedient {
    fn receive(&self, owner: u16, path: PathId, frame: &[u8], out: &mut Vec<Outgoing>) -> Verdict {
        let octets = frame.to_vec();
        match frame[0] {
            ECHO => {
                self.owners.lock().push(owner);
                out.push(Outgoing::Send { path, octets });
            }
            HOLD => {
                self.pending.fetch_add(1, Ordering::SeqCst);
                let answer = Outgoing::Send { path, octets };
                self.held.lock().push((owner, answer));
            }
            TAKE_OVER => out.push(Outgoing::Close { path, code: 2 }),
            LARGE => out.push(Outgoing::Send {
                path,
                octets: vec![LARGE; 1_200],
            }),
            SHED => return Verdict::Shed,
            FORGED => return Verdict::FailedAuthentication,
            _ => return Verdict::Malformed,
        }
        Verdict::Verified
    }

    fn complete(&self, owner: u16, out: &mut Vec<Outgoing>) -> usize {
        let ready = self.ready.lock().remove(&owner).unwrap_or_default();
        let steps = ready.len();
        out.extend(ready);
        self.pending.fetch_sub(steps, Ordering::SeqCst);
        steps
    }

    fn path_closed(&self, path: PathId) {
        self.closed.lock().push(path);
    }

    fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    fn tick(&self, _owner: u16, _out: &mut Vec<Outgoing>) {}
}

/// Options on free ports of this host.
pub fn options() -> ListenerOptions {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ListenerOptions {
        reading: Some(any),
        alarm: Some(any),
        stream: Some(any),
        reading_workers: 2,
        connections_max: 100,
        connections_waiting_max: 4_096,
        stream_limits: StreamLimits::default(),
        admission: AdmissionLimits::default(),
    }
}

/// Listeners at work, on a clock that stands still.
pub struct Rig {
    pub handler: Arc<Obedient>,
    pub clock: Arc<TestClock>,
    pub listeners: Option<Listeners>,
    pub runtime: Runtime,
}

impl Rig {
    pub fn new(options: &ListenerOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handler = Arc::new(Obedient::default());
        let clock = Arc::new(TestClock::default());
        let bound = bind(options).unwrap();
        *handler.wakers.lock() = bound.wakers();
        let for_listeners: Arc<dyn FrameHandler> = Arc::<Obedient>::clone(&handler);
        let time: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let listeners = bound.start(for_listeners, time, runtime.handle()).unwrap();
        Self {
            handler,
            clock,
            listeners: Some(listeners),
            runtime,
        }
    }

    pub fn listeners(&self) -> &Listeners {
        self.listeners.as_ref().unwrap()
    }

    pub fn connect(&self) -> Stream {
        Stream::connect(self.listeners().local_addrs().stream.unwrap())
    }

    /// A socket that talks to the reading port.
    pub fn datagrams(&self) -> UdpSocket {
        datagrams_to(self.listeners().local_addrs().reading.unwrap())
    }

    pub fn drain(&mut self, deadline: Duration) -> Drained {
        let listeners = self.listeners.take().unwrap();
        self.runtime.block_on(listeners.drain(deadline))
    }
}

pub fn datagrams_to(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram.
pub fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2_000];
    let len = socket.recv(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

/// Nothing comes for a while.
pub fn assert_silent(socket: &UdpSocket) {
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(socket.recv(&mut [0; 10]).is_err(), "an answer came");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// Waits until `is_so`.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited for too long until {what}");
}

/// A terminal's end of a connection.
pub struct Stream(pub TcpStream);

impl Stream {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn send_raw(&mut self, octets: &[u8]) {
        self.0.write_all(octets).unwrap();
    }

    pub fn send(&mut self, frame: &[u8]) {
        let len = u16::try_from(frame.len()).unwrap().to_be_bytes();
        self.send_raw(&[&len, frame].concat());
    }

    pub fn frame(&mut self) -> Vec<u8> {
        let mut len = [0; 2];
        self.0.read_exact(&mut len).unwrap();
        let mut frame = vec![0; usize::from(u16::from_be_bytes(len))];
        self.0.read_exact(&mut frame).unwrap();
        frame
    }

    /// All that comes up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        self.0.read_to_end(&mut octets).unwrap();
        octets
    }

    pub fn assert_silent(&mut self) {
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        let error = self.0.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}
