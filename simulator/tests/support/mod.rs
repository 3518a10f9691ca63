//! A small server that only tests use: it opens what the terminal sends and says what it is told
//! to.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise; not every test needs every helper"
)]

use simulator::codec::frame::aead_nonce;
use simulator::codec::record::{MeterRef, Unit};
use simulator::codec::wire::{Reader, Writer};
use simulator::crypto::{SecretKey, cmac, open, seal};
use simulator::keys::{
    BaseKey, Direction, Identity, KeyRing, Mode, Owner, Pair, Purpose, Utility, base_key,
    command_key, traffic_key,
};
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::terminal::{Action, Config, Mounted, Terminal};

pub type Sim = Terminal<MemoryNvm, Seeded, SimMeter>;

pub const OWNER: Owner = Owner {
    utility: Utility(*b"utility1"),
    identity: Identity([0x12, 0x34, 0, 2, 0xDF, 0xDC, 0x1C, 0x35]),
};
/// UTC seconds at the terminal's millisecond 0.
pub const UTC: u32 = 1_798_700_000;

pub fn key(fill: u8, octets: usize) -> SecretKey {
    SecretKey::new(&vec![fill; octets]).unwrap()
}

pub fn base(purpose: Purpose, version: u8, octets: usize) -> BaseKey {
    let master = key(purpose.code() * 16 + version, octets);
    base_key(&master, &OWNER, purpose, version).unwrap()
}

pub fn ring(octets: usize) -> KeyRing {
    KeyRing {
        link: Pair::of(base(Purpose::Link, 1, octets)),
        command: Pair::of(base(Purpose::Command, 1, octets)),
        key_encryption: Pair::of(base(Purpose::KeyEncryption, 1, octets)),
    }
}

pub fn nvm(mode: u8, octets: usize) -> MemoryNvm {
    MemoryNvm::provisioned(ring(octets), Mode::from_code(mode).unwrap())
}

pub fn meter(slot: u8) -> Mounted<SimMeter> {
    Mounted {
        meter: MeterRef {
            slot,
            generation: 0,
        },
        medium: 3,
        unit: Unit::LITRE,
        digits: 9,
        serial: b"12-345678".to_vec(),
        device: SimMeter::new(Unit::LITRE, 1_000),
    }
}

pub fn boot(nvm: MemoryNvm, seed: u64, now_ms: u64) -> Sim {
    Terminal::new(
        Config::new(OWNER),
        nvm,
        Seeded::new(seed),
        vec![meter(0)],
        now_ms,
    )
    .unwrap()
}

pub fn terminal(mode: u8) -> Sim {
    boot(nvm(mode, if mode == 3 { 32 } else { 16 }), 7, 0)
}

/// A frame of the terminal, opened.
#[derive(Debug, Clone)]
pub struct Opened {
    pub frame: Vec<u8>,
    pub mode: Mode,
    pub alarm: bool,
    pub asks: bool,
    pub key_version: u8,
    pub counter: u32,
    pub ticket: [u8; 8],
    pub nt: Vec<u8>,
    pub plaintext: Vec<u8>,
    pub clock_set: bool,
    pub time: u32,
    pub epoch: u32,
    pub slot_version: u8,
    pub following: u8,
    pub command: u32,
    pub outcome: u8,
    pub items: Vec<(u8, Vec<u8>)>,
    pub padding: usize,
    pub reason: u8,
}

impl Opened {
    /// Record type, sequence and body after it.
    pub fn records(&self) -> Vec<(u8, u32, Vec<u8>)> {
        let records = self.items.iter().filter(|(t, _)| *t < 0x70);
        records
            .map(|(t, body)| {
                let mut r = Reader::new(body);
                let sequence = u32::try_from(r.varint(u64::from(u32::MAX)).unwrap()).unwrap();
                (*t, sequence, r.rest().to_vec())
            })
            .collect()
    }

    pub fn types(&self) -> Vec<u8> {
        self.items.iter().map(|(t, _)| *t).collect()
    }

    pub fn sequences(&self) -> Vec<u32> {
        self.records().iter().map(|r| r.1).collect()
    }
}

/// Keys and a clock.
pub struct Server {
    pub owner: Owner,
    pub octets: usize,
    pub salt: u32,
    /// Instead of the key that the masters of these tests give.
    pub link_key: Option<BaseKey>,
}

pub const ACK: u8 = 1;
pub const FINAL: u8 = 2;
pub const MORE: u8 = 4;
pub const NEW_EPOCH: u8 = 8;

impl Server {
    pub fn new(octets: usize) -> Self {
        Self {
            owner: OWNER,
            octets,
            salt: 0,
            link_key: None,
        }
    }

    pub fn of(mode: u8) -> Self {
        Self::new(if mode == 3 { 32 } else { 16 })
    }

    pub fn ns(&mut self, now_ms: u64) -> [u8; 8] {
        self.salt += 1;
        let seconds = UTC + u32::try_from(now_ms / 1_000).unwrap();
        let mut ns = [0; 8];
        ns[..4].copy_from_slice(&seconds.to_be_bytes());
        ns[4..].copy_from_slice(&self.salt.to_be_bytes());
        ns
    }

    fn link(&self, version: u8) -> BaseKey {
        let own = self.link_key.clone();
        own.unwrap_or_else(|| base(Purpose::Link, version, self.octets))
    }

    pub fn open(&self, frame: &[u8]) -> Opened {
        self.try_open(frame).expect("the frame verifies")
    }

    pub fn try_open(&self, frame: &[u8]) -> Option<Opened> {
        let mode = Mode::from_code(frame[1] >> 5)?;
        let resync = frame[0] == 0x12;
        let head = if resync {
            27
        } else {
            mode.uplink_header_octets()
        };
        let counter = if resync {
            0
        } else {
            u32::from_be_bytes(frame[11..15].try_into().unwrap())
        };
        let ticket = if resync || mode == Mode::Clear {
            [0; 8]
        } else {
            frame[15..23].try_into().unwrap()
        };
        let nonces = self.nonces(frame);
        let plaintext = match mode.cipher() {
            None => frame[head..].to_vec(),
            Some(cipher) => {
                let direction = if resync {
                    Direction::Resync
                } else {
                    Direction::Uplink
                };
                let base = self.link(frame[2]);
                let key = traffic_key(&base, &self.owner, mode, direction, &nonces).ok()?;
                let nonce = aead_nonce(&self.owner.identity.0, counter);
                open(cipher, &key, &nonce, &frame[..head], &frame[head..]).ok()?
            }
        };
        Some(read(frame, mode, counter, ticket, plaintext, resync))
    }

    fn nonces(&self, frame: &[u8]) -> Vec<u8> {
        let mode = Mode::from_code(frame[1] >> 5).unwrap();
        match (frame[0] == 0x12, mode.has_session_key()) {
            (true, _) => frame[11..27].to_vec(),
            (_, true) => [&frame[23..31], &frame[15..23]].concat(),
            _ => Vec::new(),
        }
    }

    pub fn answer(&mut self, now_ms: u64, to: &[u8], flags: u8, map: u16, items: &[u8]) -> Vec<u8> {
        let ns = self.ns(now_ms);
        self.answer_with(ns, to, flags, map, items)
    }

    pub fn answer_with(
        &self,
        ns: [u8; 8],
        to: &[u8],
        flags: u8,
        map: u16,
        items: &[u8],
    ) -> Vec<u8> {
        let mut plain = vec![flags];
        plain.extend_from_slice(&map.to_be_bytes());
        plain.extend_from_slice(items);
        let mut header = vec![0x19, to[1] & 0xE0];
        header.extend_from_slice(&to[11..15]);
        let counter = u32::from_be_bytes(to[11..15].try_into().unwrap());
        self.sealed(ns, to, header, Direction::Answer, counter, &plain)
    }

    pub fn resync_answer(&mut self, now_ms: u64, to: &[u8], floor: u32, items: &[u8]) -> Vec<u8> {
        let ns = self.ns(now_ms);
        let plain = [&floor.to_be_bytes()[..], items].concat();
        let header = vec![0x1A, to[1] & 0xE0];
        self.sealed(ns, to, header, Direction::ResyncAnswer, 0, &plain)
    }

    fn sealed(
        &self,
        ns: [u8; 8],
        to: &[u8],
        mut header: Vec<u8>,
        direction: Direction,
        counter: u32,
        plain: &[u8],
    ) -> Vec<u8> {
        let mode = Mode::from_code(to[1] >> 5).unwrap();
        let Some(cipher) = mode.cipher() else {
            return [&header[..], plain].concat();
        };
        header.extend_from_slice(&ns);
        let base = self.link(to[2]);
        let key = traffic_key(&base, &self.owner, mode, direction, &self.nonces(to)).unwrap();
        let (head, tag) = self.binding(to);
        let aad = [&header[..], head, tag].concat();
        let sealed = seal(cipher, &key, &aead_nonce(&ns, counter), &aad, plain).unwrap();
        [header, sealed].concat()
    }

    fn binding<'a>(&self, to: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let mode = Mode::from_code(to[1] >> 5).unwrap();
        let head = if to[0] == 0x12 {
            27
        } else {
            mode.uplink_header_octets()
        };
        (&to[..head], &to[to.len() - mode.tag_octets()..])
    }

    /// A COMMAND item.
    pub fn command(&self, ns: [u8; 8], to: &[u8], c: &Order) -> Vec<u8> {
        let mut head = vec![c.key_version];
        head.extend_from_slice(&c.sequence.to_be_bytes());
        head.extend_from_slice(&[c.kind, c.meter, (u8::from(c.bound) << 7) | c.precondition]);
        head.extend_from_slice(&c.not_after.to_be_bytes());
        let base = base(Purpose::Command, c.key_version, self.octets);
        let key = command_key(&base, &self.owner, 2).unwrap();
        let length = u16::try_from(c.parameters.len()).unwrap().to_be_bytes();
        let identity = self.owner.identity.0;
        let mut parts: Vec<&[u8]> = vec![b"OTL1 cmd", &identity, &head, &length, &c.parameters];
        let (header, tag) = self.binding(to);
        if c.bound {
            parts.extend([&ns[..], header, tag]);
        }
        let mac = cmac(&key, &parts).unwrap();
        let body = [&head[..], &c.parameters, &mac].concat();
        item(0x85, &body)
    }

    /// An answer that hands over one command.
    pub fn order(&mut self, now_ms: u64, to: &[u8], flags: u8, c: &Order) -> Vec<u8> {
        let ns = self.ns(now_ms);
        let command = self.command(ns, to, c);
        self.answer_with(ns, to, flags, 0, &command)
    }

    pub fn call_now(&self, mode: u8, key_version: u8, counter: u32) -> Vec<u8> {
        let mut frame = vec![0x1B, mode << 5, key_version];
        frame.extend_from_slice(&self.owner.identity.0);
        frame.extend_from_slice(&counter.to_be_bytes());
        let mode = Mode::from_code(mode).unwrap();
        let base = self.link(key_version);
        let key = traffic_key(&base, &self.owner, mode, Direction::CallNow, &[]).unwrap();
        let mac = cmac(&key, &[&frame]).unwrap();
        frame.extend_from_slice(&mac[..mode.tag_octets()]);
        frame
    }
}

/// What a command says.
#[derive(Debug, Clone)]
pub struct Order {
    pub key_version: u8,
    pub sequence: u32,
    pub kind: u8,
    pub meter: u8,
    pub bound: bool,
    pub precondition: u8,
    pub not_after: u32,
    pub parameters: Vec<u8>,
}

impl Order {
    pub fn new(sequence: u32, kind: u8, parameters: &[u8]) -> Self {
        Self {
            key_version: 1,
            sequence,
            kind,
            meter: 0,
            bound: true,
            precondition: 0,
            not_after: UTC + 1_000_000,
            parameters: parameters.to_vec(),
        }
    }

    pub fn close(sequence: u32) -> Self {
        Self::new(sequence, 0x01, &[1])
    }
}

pub fn item(type_octet: u8, body: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.item(type_octet, body).unwrap();
    w.into_vec()
}

pub fn come_back(seconds: u16) -> Vec<u8> {
    item(0x01, &(seconds / 4).to_be_bytes())
}

pub fn slot(version: u8, second: u32) -> Vec<u8> {
    let [_, a, b, c] = second.to_be_bytes();
    item(0x02, &[version, a, b, c])
}

pub fn floor(counter: u32) -> Vec<u8> {
    item(0x83, &counter.to_be_bytes())
}

fn read(
    frame: &[u8],
    mode: Mode,
    counter: u32,
    ticket: [u8; 8],
    plaintext: Vec<u8>,
    resync: bool,
) -> Opened {
    let mut r = Reader::new(&plaintext);
    let quality = r.u8().unwrap();
    let time = r.u32().unwrap();
    if quality & 0x80 != 0 {
        r.u16().unwrap();
    }
    let epoch = r.u32().unwrap();
    let slots = r.u8().unwrap();
    let command = u32::try_from(r.varint(u64::from(u32::MAX)).unwrap()).unwrap();
    let outcome = if command == 0 { 0 } else { r.u8().unwrap() };
    let reason = if resync { r.u8().unwrap() } else { 0 };
    let mut items = Vec::new();
    let mut padding = 0;
    while !resync && !r.is_empty() {
        let kind = r.u8().unwrap();
        if kind == 0 {
            padding = r.rest().len() + 1;
            assert!(r.rest().iter().all(|o| *o == 0));
            break;
        }
        let length = usize::try_from(r.varint(1_200).unwrap()).unwrap();
        items.push((kind, r.take(length).unwrap().to_vec()));
    }
    Opened {
        frame: frame.to_vec(),
        mode,
        alarm: frame[1] & 0x10 != 0,
        asks: frame[1] & 0x08 != 0,
        key_version: frame[2],
        counter,
        ticket,
        nt: if !resync && mode.has_session_key() {
            frame[23..31].to_vec()
        } else {
            Vec::new()
        },
        plaintext: plaintext.clone(),
        clock_set: quality & 0x80 == 0,
        time,
        epoch,
        slot_version: slots >> 4,
        following: slots & 0x0F,
        command,
        outcome,
        items,
        padding,
        reason,
    }
}

/// Frames that the terminal sends now, opened.
pub fn frames(t: &mut Sim, server: &Server, now_ms: u64) -> Vec<Opened> {
    t.run(now_ms)
        .unwrap()
        .0
        .iter()
        .map(|f| server.open(f))
        .collect()
}

/// The one frame that the terminal sends now.
pub fn frame(t: &mut Sim, server: &Server, now_ms: u64) -> Opened {
    let mut all = frames(t, server, now_ms);
    assert_eq!(all.len(), 1, "one frame");
    all.remove(0)
}

/// When the terminal wants to be polled again.
pub fn next(t: &mut Sim, now_ms: u64) -> u64 {
    match t.run(now_ms).unwrap() {
        (frames, Action::WaitUntil(at) | Action::Sleep { until_ms: at }) => {
            assert!(frames.is_empty(), "nothing is due");
            at
        }
        other => panic!("{other:?}"),
    }
}

pub fn asleep(t: &mut Sim, now_ms: u64) -> bool {
    matches!(t.run(now_ms).unwrap().1, Action::Sleep { .. })
}

/// A first session: the clock is set and everything told safe. Returns the last frame.
pub fn settle(t: &mut Sim, server: &mut Server, now_ms: u64) -> Opened {
    t.wake(now_ms);
    loop {
        let sent = frames(t, server, now_ms);
        let Some(last) = sent.last().cloned() else {
            panic!("no frame")
        };
        let map = (1_u16 << (sent.len() - 1)) - 1;
        let flags = ACK | if last.following == 0 { FINAL } else { 0 };
        let answer = server.answer(now_ms, &last.frame, flags, map, &[]);
        t.handle(now_ms, &answer).unwrap();
        if asleep_quietly(t, now_ms) {
            return last;
        }
    }
}

fn asleep_quietly(t: &mut Sim, now_ms: u64) -> bool {
    t.store().is_empty() && asleep(t, now_ms)
}
