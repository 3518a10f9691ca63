//! A server on a simulated disk, and the frames of one terminal, made octet by octet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin::app::boot::{Booted, boot};
use kenshin::crypto::otl::SessionNonces;
use kenshin::ingest::intake::{Intake, Parts};
use kenshin::ingest::load::Load;
use kenshin::keyring::{LinkKeyring, Registration, UtilityId};
use kenshin::model::{Lanes, SessionStep, TerminalId};
use kenshin::net::contract::{FrameHandler as _, Outgoing, PathId, Verdict};
use kenshin::session::otl::machine::{NoCommands, NoSigner};
use kenshin::store::fs::SimFs;
use kenshin::store::log::LogOptions;
use kenshin::store::state::fold::KIND_STEP;
use kenshin::store::state::sequences::SequenceTrack;
use kenshin::time::{Clock as _, TestClock, UtcSeconds};
use kenshin::wire::otl::header::UplinkHeader;
use kenshin::wire::otl::ident::{FrameCounter, Identity, KeyVersion, Mode, Ns};

use super::heard::Heard;
use super::plan::{Registered, enrol, link_keys};

pub(crate) const START_UTC_S: u32 = 1_793_404_800;
pub(crate) const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0x49, 0x96, 2, 0xD2];
pub(crate) const DATA: &str = "/data";
const UTILITY: [u8; 8] = *b"gasworks";
const HEADER_AND_TAG: usize = 23 + 8;

/// A frame of the terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) counter: u32,
    pub(crate) epoch: u32,
    /// The epoch that was left, if it is told.
    pub(crate) previous: Option<u32>,
    pub(crate) is_alarm: bool,
    pub(crate) items: Vec<Vec<u8>>,
}

impl Made {
    pub(crate) fn new(counter: u32, epoch: u32, items: &[Vec<u8>]) -> Self {
        Self {
            counter,
            epoch,
            items: items.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn after(self, epoch: u32) -> Self {
        Self {
            previous: Some(epoch),
            ..self
        }
    }

    pub(crate) fn alarm(self) -> Self {
        Self {
            is_alarm: true,
            ..self
        }
    }

    fn plaintext(&self) -> Vec<u8> {
        let mut plaintext = vec![5];
        plaintext.extend_from_slice(&START_UTC_S.to_be_bytes());
        plaintext.extend_from_slice(&self.epoch.to_be_bytes());
        plaintext.extend_from_slice(&[0, 0]);
        plaintext.extend(self.items.iter().flatten());
        if let Some(epoch) = self.previous {
            plaintext.extend_from_slice(&[0x70, 4]);
            plaintext.extend_from_slice(&epoch.to_be_bytes());
        }
        let sizes = [128, 192, 256, 384, 512, 768, 1_024, 1_200];
        let room = |size: &usize| *size >= plaintext.len() + HEADER_AND_TAG;
        if let Some(size) = sizes.into_iter().find(room) {
            plaintext.resize(size - HEADER_AND_TAG, 0);
        }
        plaintext
    }
}

/// A record with a stamp, and what follows.
fn record(number: u8, sequence: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = match sequence {
        0..0x80 => vec![sequence as u8],
        _ => vec![sequence as u8 | 0x80, (sequence >> 7) as u8],
    };
    body.push(5);
    body.extend_from_slice(&START_UTC_S.to_be_bytes());
    body.extend_from_slice(rest);
    let mut item = vec![number, body.len() as u8];
    item.extend_from_slice(&body);
    item
}

/// A health record; `battery` makes its content.
pub(crate) fn health(sequence: u32, battery: u8) -> Vec<u8> {
    let rest = [battery, 90, 95, 3, 20, 0x10, 0, 0, 0, 1, 0, 0, 1, 0];
    record(0x07, sequence, &rest)
}

/// A health record that no version can decode: it has 201 percent left.
pub(crate) fn broken(sequence: u32, battery: u8) -> Vec<u8> {
    let rest = [battery, 201, 95, 3, 20, 0x10, 0, 0, 0, 1, 0, 0, 1, 0];
    record(0x07, sequence, &rest)
}

/// An alarm notice.
pub(crate) fn alarm(sequence: u32) -> Vec<u8> {
    record(0x05, sequence, &[0, 0, b'A', 0, 1, 2, 1, b'0', b'2'])
}

fn utilities() -> [Registered; 1] {
    [Registered {
        id: UTILITY,
        name: "gasworks".to_owned(),
        link_master: vec![7; 32],
        terminals: [IDENTITY, [0; 8]]
            .map(|id| (id, Mode::CcmStatic.number()))
            .to_vec(),
    }]
}

pub(crate) struct World {
    pub(crate) fs: SimFs,
    pub(crate) heard: Heard,
    sealing: LinkKeyring,
    clock: Arc<TestClock>,
    server: Option<(Booted, Intake)>,
    now_ms: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut sealing = link_keys(&utilities());
        let registration = Registration::new(UtilityId::new(UTILITY), Mode::CcmStatic);
        sealing.register(IDENTITY, registration.clone()).unwrap();
        sealing.register([0; 8], registration).unwrap();
        let mut world = Self {
            fs: SimFs::new(),
            heard: Heard::default(),
            sealing,
            clock: Arc::new(TestClock::new(UtcSeconds::new(START_UTC_S))),
            server: None,
            now_ms: 0,
        };
        world.start();
        enrol(world.booted(), &utilities(), false);
        world
    }

    pub(crate) fn booted(&self) -> &Booted {
        &self.server.as_ref().unwrap().0
    }

    /// Which of the terminal's records may be durable.
    pub(crate) fn track(&self) -> SequenceTrack {
        let terminal = TerminalId::new(IDENTITY);
        let table = &self.booted().state.table;
        table.with(terminal, |entry| entry.hot.sequences()).unwrap()
    }

    fn start(&mut self) {
        let options = LogOptions {
            segment_bytes: 4 << 10,
            ..LogOptions::default()
        };
        let fs = Arc::new(self.fs.clone());
        let booted = boot(fs, Path::new(DATA), options, 1, link_keys(&utilities())).unwrap();
        booted.take_up_mark(&*self.clock).unwrap();
        let intake = Intake::new(Parts {
            allow_mode0: false,
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            completions: Arc::clone(&booted.completions),
            load: Arc::new(Load::default()),
            clock: Arc::clone(&self.clock) as Arc<dyn kenshin::time::Clock>,
            commands: Arc::new(NoCommands),
            signer: Arc::new(NoSigner),
            witness: Arc::new(self.heard.clone()),
            live_max: 100,
        });
        self.server = Some((booted, intake));
        self.pass();
    }

    /// The server stops and starts again on what is on the disk.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        self.start();
    }

    /// Some seconds pass.
    fn pass(&mut self) {
        self.now_ms += 5_000;
        self.clock.set_monotonic_ms(self.now_ms);
        self.clock
            .set_utc(self.clock.utc_seconds().saturating_add(5));
    }

    pub(crate) fn sealed(&self, made: &Made, identity: [u8; 8]) -> Vec<u8> {
        let header = UplinkHeader::ccm_static(
            made.is_alarm,
            true,
            KeyVersion::new(1).unwrap(),
            Identity::new(identity),
            FrameCounter::new(made.counter).unwrap(),
            Ns::ZERO,
        )
        .encode();
        let mut plaintext = made.plaintext();
        let key = self.sealing.opening_key(&identity, Mode::CcmStatic, 1);
        let key = key.unwrap().key.unwrap();
        let cipher = key.uplink_cipher(SessionNonces::default());
        let tag = cipher.seal(header.as_slice(), &mut plaintext).unwrap();
        [header.as_slice(), &plaintext, tag.as_octets()].concat()
    }

    /// Hands a frame in, without what follows from it.
    pub(crate) fn send(&self, frame: &[u8], out: &mut Vec<Outgoing>) -> Verdict {
        let path = PathId::Udp {
            worker: 0,
            peer: ([127, 0, 0, 1], 10_000).into(),
        };
        let (_, intake) = self.server.as_ref().unwrap();
        intake.tick(0, out);
        intake.receive(0, path, frame, out)
    }

    /// Lets everything that is under way end.
    pub(crate) fn settle(&mut self, out: &mut Vec<Outgoing>) {
        let (_, intake) = self.server.as_ref().unwrap();
        while intake.pending() > 0 {
            intake.complete(0, out);
            std::thread::yield_now();
        }
        self.pass();
    }

    /// Sends a frame. Gives how many answers came.
    pub(crate) fn call(&mut self, made: &Made) -> usize {
        let mut out = Vec::new();
        let frame = self.sealed(made, IDENTITY);
        assert_eq!(self.send(&frame, &mut out), Verdict::Verified);
        self.settle(&mut out);
        out.len()
    }

    /// How often each record is kept as a new fact, by sequence, whatever its epoch.
    pub(crate) fn kept(&self) -> BTreeMap<u32, usize> {
        let mut kept = BTreeMap::new();
        let log = &self.booted().log;
        let mut reader = log.reader(log.first());
        loop {
            let batch = reader.next_batch(1 << 20).unwrap();
            if batch.is_empty() {
                return kept;
            }
            for frame in batch.iter().filter(|frame| frame.kind == KIND_STEP) {
                let step = SessionStep::decode(frame.payload).unwrap();
                let new = step.entries.iter().filter(|entry| entry.flags.is_new());
                for entry in new {
                    *kept.entry(entry.sequence).or_default() += 1;
                    assert!(frame.lanes.meets(Lanes::ALARM) || frame.lanes.meets(Lanes::BULK));
                }
            }
        }
    }

    /// The files of the sealed segments, the oldest first.
    pub(crate) fn sealed_segments(&self) -> Vec<PathBuf> {
        use kenshin::store::fs::Fs as _;
        let dir = Path::new(DATA).join("log");
        let mut files = self.fs.list(&dir).unwrap();
        files.retain(|file| file.ends_with(".klog"));
        files.sort();
        files.pop();
        files.into_iter().map(|file| dir.join(file)).collect()
    }
}
