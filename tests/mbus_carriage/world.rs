//! A server of gateways in this process, with stand-ins for keys and registry.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kenshin::app::boot::{Booted, boot};
use kenshin::ingest::load::Load;
use kenshin::ingest::mbus::{
    GatewayLookup, MbusIntake, MbusParts, NoFormats, Opening, OwnedOpened, RefusedTelegram,
    TelegramOpener, Verdict, Verdicts,
};
use kenshin::keyring::{LinkKeyring, UtilityId};
use kenshin::model::telegram::{Carriage, LinkForm};
use kenshin::model::{Lsn, Telegram};
use kenshin::net::admission::AdmissionLimits;
use kenshin::net::mbus::contract::{Gateway, Proof};
use kenshin::net::mbus::counters::MbusTotals;
use kenshin::net::mbus::{MbusBound, MbusListeners, MbusNetOptions};
use kenshin::session::mbus::{KeyId, KeyName, KeyVersion, Refusal, Security, Verified};
use kenshin::store::fs::RealFs;
use kenshin::store::log::{LogOptions, ReadError};
use kenshin::store::state::fold::KIND_TELEGRAM;
use kenshin::time::{Clock, SystemClock};
use kenshin::wire::hex::Hex;
use kenshin::wire::mbus::address::Address;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

pub(crate) const GAS: UtilityId = UtilityId::new(*b"gasworks");
pub(crate) const CITY: UtilityId = UtilityId::new(*b"citygas2");

/// Octets that [`Opener`] takes for a telegram.
pub(crate) fn octets(mode: u8, meter: u8, counter: u32, payload: &[u8]) -> Vec<u8> {
    let counter = counter.to_be_bytes();
    [&[0xA0, mode, meter], counter.as_slice(), payload].concat()
}

/// The same as a line.
pub(crate) fn line(mode: u8, meter: u8, counter: u32) -> String {
    format!("{}\n", Hex(&octets(mode, meter, counter, b"x")))
}

/// Opens octets that begin with A0h, a security mode, a meter and a counter. A mode in the upper
/// four bits has the version of its key in the lower ones; Dh is mode 5 with a MAC.
#[derive(Debug)]
struct Opener;

impl TelegramOpener for Opener {
    fn open(&self, _: UtilityId, telegram: &[u8], _: u64) -> Result<Opening, RefusedTelegram> {
        let refused = |why| Err(RefusedTelegram { why, meter: None });
        let [0xA0, mode, meter, a, b, c, d, payload @ ..] = telegram else {
            let (id, version) = (KeyId(0), None);
            return refused(Refusal::NoKey { id, version });
        };
        let (security_mode, verified) = match mode {
            0 => (0, Verified::None),
            5 | 0x50..=0x5F => (5, Verified::CheckBytes),
            7 | 0x70..=0x7F => (7, Verified::Mac),
            9 => return Ok(Opening::Part),
            0xD0..=0xDF => (5, Verified::Mac),
            0xFD => return refused(Refusal::ClearNotAllowed),
            0xFE => return refused(Refusal::WrongMac),
            _ => return refused(Refusal::WrongKey),
        };
        let counter = u32::from_be_bytes([*a, *b, *c, *d]);
        let key = KeyName {
            id: KeyId(0),
            version: KeyVersion(if *mode < 0x50 { 0 } else { mode & 0x0F }),
        };
        let meter = Address::from_link_order([0x93, 0x15, *meter, 0, 0, 0, 0x33, 3]);
        Ok(Opening::Whole(Box::new(OwnedOpened {
            meter: (payload != b"nobody").then_some(meter),
            sender: None,
            security: Security {
                mode: security_mode,
                link_encrypted: false,
                clear_tail_octets: 0,
                withheld_octets: 0,
                cut_octets: 0,
                verified,
                key: (*mode != 0).then_some(key),
                counter: (verified == Verified::Mac).then_some(counter),
            },
            access_number: Some(*d),
            status: Some(if payload == b"alarm" { 3 } else { 0 }),
            ci: 0x7A,
            is_wired: false,
            link: LinkForm::WirelessUnchecked,
            header: vec![0xA0, *mode],
            payload: payload.to_vec(),
        })))
    }
}

/// Gateways by their token; `hall` by its address, once it is switched on.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) by_address: AtomicBool,
    pub(crate) is_ended: AtomicBool,
    pub(crate) certificate: Mutex<Option<[u8; 32]>>,
}

pub(crate) fn gateway(name: &str, utility: UtilityId) -> Gateway {
    Gateway {
        name: name.into(),
        utility,
        version: 1,
    }
}

impl GatewayLookup for Registry {
    fn find(&self, proof: Proof<'_>) -> Option<Gateway> {
        match proof {
            Proof::Token(b"roof-token") => Some(gateway("roof", GAS)),
            Proof::Token(b"hill-token") => Some(gateway("hill", GAS)),
            Proof::Token(b"city-token") => Some(gateway("city", CITY)),
            Proof::Certificate(shown) if *self.certificate.lock() == Some(shown) => {
                Some(gateway("vault", GAS))
            }
            Proof::Address(IpAddr::V4(address))
                if address.is_loopback() && self.by_address.load(Ordering::Relaxed) =>
            {
                Some(gateway("hall", GAS))
            }
            Proof::Token(_) | Proof::Certificate(_) | Proof::Address(_) => None,
        }
    }

    fn is_current(&self, _: &Gateway) -> bool {
        !self.is_ended.load(Ordering::Relaxed)
    }
}

/// What became of telegrams, by carriage and name.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Counts {
    pub(crate) fn of(&self, carriage: &'static str, verdict: &'static str) -> u64 {
        let counts = self.0.lock();
        counts.get(&(carriage, verdict)).copied().unwrap_or(0)
    }

    pub(crate) fn wait_for(&self, carriage: &'static str, verdict: &'static str, count: u64) {
        for _ in 0..2_000 {
            if self.of(carriage, verdict) >= count {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{carriage} {verdict}: {:?}", self.0.lock());
    }

    fn add(&self, carriage: Carriage, name: &'static str) {
        *self.0.lock().entry((carriage.id(), name)).or_default() += 1;
    }
}

impl Verdicts for Counts {
    fn came_to(&self, carriage: Carriage, verdict: Verdict) {
        self.add(carriage, verdict.id());
    }

    fn refused(&self, _: &Gateway, _: &RefusedTelegram) {}

    fn unknown_gateway(&self, carriage: Carriage) {
        self.add(carriage, "unknown_gateway");
    }

    fn unreadable(&self, error: &ReadError) {
        assert!(matches!(error, ReadError::Damage { .. }), "{error}");
        *self.0.lock().entry(("log", "unreadable")).or_default() += 1;
    }
}

/// What may differ between servers.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) line_ms: u64,
    pub(crate) silence_ms: u64,
    pub(crate) connections_max: usize,
    pub(crate) meters_max: usize,
    pub(crate) failure_burst: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) failures_per_s_port: u32,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            line_ms: 20_000,
            silence_ms: 60_000,
            connections_max: 64,
            meters_max: 1_000,
            failure_burst: 100,
            segment_bytes: LogOptions::default().segment_bytes,
            failures_per_s_port: 30_000,
            tls: None,
        }
    }
}

/// The server.
pub(crate) struct World {
    pub(crate) registry: Arc<Registry>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) load: Arc<Load>,
    pub(crate) booted: Booted,
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: Option<SocketAddr>,
    udp: SocketAddr,
    intake: Option<Arc<MbusIntake>>,
    listeners: Option<MbusListeners>,
    runtime: Runtime,
}

/// A telegram of the log, as far as these tests look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) lsn: Lsn,
    pub(crate) gateway: String,
    pub(crate) carriage: Carriage,
    pub(crate) meter: u8,
    pub(crate) counter: Option<u32>,
    pub(crate) heard_utc_ms: Option<u64>,
    pub(crate) rssi_dbm: Option<i16>,
    pub(crate) payload: Vec<u8>,
}

impl World {
    pub(crate) fn new(dir: &Path) -> Self {
        Self::with(dir, Settings::default())
    }

    pub(crate) fn with(dir: &Path, settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let options = LogOptions {
            floor_bytes: 0,
            urgent_floor_bytes: 0,
            segment_bytes: settings.segment_bytes,
            ..LogOptions::default()
        };
        let booted = boot(Arc::new(RealFs), dir, options, 1, LinkKeyring::new()).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (registry, counts): (Arc<Registry>, Arc<Counts>) = Default::default();
        let load = Arc::new(Load::default());
        let parts = MbusParts {
            load: Arc::clone(&load),
            gateways: Arc::<Registry>::clone(&registry),
            verdicts: Arc::<Counts>::clone(&counts),
            meters_max: settings.meters_max,
            ..parts_of(&booted, &clock)
        };
        let intake = MbusIntake::new(parts);
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = MbusBound::new(MbusNetOptions {
            udp: Some(local),
            tcp: Some(local),
            tls: settings.tls.map(|acceptor| (local, acceptor)),
            connections_max: settings.connections_max,
            line_ms: settings.line_ms,
            silence_ms: settings.silence_ms,
            admission: AdmissionLimits {
                failure_burst: settings.failure_burst,
                failures_per_s: 1,
                trials_per_s: 64,
                failures_per_s_port: settings.failures_per_s_port,
                ..AdmissionLimits::default()
            },
        });
        let bound = bound.unwrap();
        let addresses = bound.local_addrs();
        let intake = Arc::new(intake.unwrap());
        let handler = Arc::<MbusIntake>::clone(&intake);
        let listeners = bound.start(handler, clock, runtime.handle()).unwrap();
        Self {
            registry,
            counts,
            load,
            booted,
            tcp: addresses.tcp.unwrap(),
            tls: addresses.tls,
            udp: addresses.udp.unwrap(),
            intake: Some(intake),
            listeners: Some(listeners),
            runtime,
        }
    }

    /// A gateway's connection on which nothing was said yet.
    pub(crate) fn connect(&self) -> Line {
        Line::new(self.tcp)
    }

    /// One that named a token, and heard that it is known.
    pub(crate) fn connect_as(&self, token: &str) -> Line {
        let mut line = self.connect();
        line.say(&format!("TOKEN {token}\n"));
        assert_eq!(line.hear(), "OK 0");
        line
    }

    pub(crate) fn send_datagram(&self, octets: &[u8]) {
        self.send_datagram_from(1, octets);
    }

    /// One from another address of this host.
    pub(crate) fn send_datagram_from(&self, host: u8, octets: &[u8]) {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
        self.send_datagram_by(&socket, octets);
    }

    pub(crate) fn send_datagram_by(&self, socket: &UdpSocket, octets: &[u8]) {
        socket.send_to(octets, self.udp).unwrap();
    }

    /// All telegrams that are durable.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        kept(&self.booted)
    }

    pub(crate) fn counters(&self) -> MbusTotals {
        self.listeners.as_ref().unwrap().counters().totals()
    }

    /// Waits until the counters say so.
    pub(crate) fn wait_until(&self, is_so: impl Fn(&MbusTotals) -> bool) {
        for _ in 0..2_000 {
            if is_so(&self.counters()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?}", self.counters());
    }

    /// Stops as on TERM.
    pub(crate) fn drain(&mut self) -> bool {
        self.intake.take().unwrap().end_searches();
        let listeners = self.listeners.take().unwrap();
        let drain = listeners.drain(Duration::from_secs(5));
        self.runtime.block_on(drain)
    }

    /// Reads nothing more; what was begun goes on while the caller looks.
    pub(crate) fn drain_aside(&mut self) -> std::thread::JoinHandle<bool> {
        let listeners = self.listeners.take().unwrap();
        let handle = self.runtime.handle().clone();
        std::thread::spawn(move || handle.block_on(listeners.drain(Duration::from_secs(5))))
    }
}

/// An intake's parts, with stand-ins for keys and registry.
pub(crate) fn parts_of(booted: &Booted, clock: &Arc<dyn Clock>) -> MbusParts {
    MbusParts {
        state: Arc::clone(&booted.state),
        log: Arc::clone(&booted.log),
        load: Arc::default(),
        clock: Arc::clone(clock),
        opener: Arc::new(Opener),
        gateways: Arc::new(Registry::default()),
        formats: Arc::new(NoFormats),
        verdicts: Arc::new(Counts::default()),
        meters_max: 1_000,
    }
}

/// All telegrams of a log.
pub(crate) fn kept(booted: &Booted) -> Vec<Kept> {
    let mut reader = booted.log.reader(booted.log.first());
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(1 << 20).unwrap();
        let before = all.len();
        let frames = batch.iter().filter(|frame| frame.kind == KIND_TELEGRAM);
        all.extend(frames.map(|frame| {
            let telegram = Telegram::decode(frame.payload).unwrap();
            assert_eq!(frame.terminal, Some(telegram.terminal()));
            let [_, _, meter, ..] = telegram.meter.link_order();
            Kept {
                lsn: frame.lsn,
                gateway: telegram.gateway.to_owned(),
                carriage: telegram.carriage,
                meter,
                counter: telegram.security.counter,
                heard_utc_ms: telegram.heard_utc_ms,
                rssi_dbm: telegram.rssi_dbm,
                payload: telegram.payload.to_vec(),
            }
        }));
        if all.len() == before {
            return all;
        }
    }
}

/// A connection of a gateway.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Line {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next line of the server, without its end; empty once the server has ended.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        self.reader
            .read_to_end(&mut rest)
            .is_ok_and(|read| read == 0)
    }
}
