//! What a server sends.

use super::Refusal;
use super::frame::MAX_FRAME;
use super::record::MeterRef;
use super::wire::Reader;
use crate::keys::{Identity, Mode};

/// Frame counters, and the floors that name one.
const COUNTERS: core::ops::RangeInclusive<u32> = 1..=0xFFFF_0000;
/// The longest item.
const MAX_ITEM: u64 = 1_200;

/// A server's frame up to its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downlink {
    /// Replies to one uplink.
    Answer {
        /// Mode of the header.
        mode: Mode,
        /// Counter of the uplink.
        counter: u32,
        /// Server nonce; not in mode 0.
        ns: Option<[u8; 8]>,
    },
    /// Replies to a RESYNC.
    ResyncAnswer {
        /// Mode of the header.
        mode: Mode,
        /// Server nonce.
        ns: [u8; 8],
    },
    /// Asks for an uplink.
    CallNow {
        /// Mode of the header.
        mode: Mode,
        /// Link key version.
        key_version: u8,
        /// Whom it asks.
        identity: Identity,
        /// Call counter.
        counter: u32,
    },
    /// The server ends the connection.
    Close {
        /// Its code; all are treated alike.
        code: u8,
    },
}

/// Reads the header; returns it with the octets of the header and those after it.
///
/// # Errors
/// The first rule that the header breaks.
// spec: FRM-1, FRM-2, FRM-3, FRM-4, FRM-7, FRM-16, FRM-17, GEN-7, EXT-6, ERR-2, NON-5
pub fn split(frame: &[u8]) -> Result<(Downlink, &[u8], &[u8]), Refusal> {
    if frame.len() > MAX_FRAME {
        return Err(Refusal::Oversize);
    }
    let mut r = Reader::new(frame);
    let first = r.u8()?;
    if first >> 4 != 1 {
        return Err(Refusal::UnsupportedVersion);
    }
    match first & 0x0F {
        0x9..=0xB => {}
        0xF => {
            let code = r.u8()?;
            r.finish()?;
            return Ok((Downlink::Close { code }, frame, &[]));
        }
        1 | 2 => return Err(Refusal::WrongDirection),
        _ => return Err(Refusal::UnknownFrameType),
    }
    let flags = r.u8()?;
    let mode = Mode::from_code(flags >> 5).ok_or(Refusal::UnknownMode)?;
    if mode == Mode::Clear && first != 0x19 {
        return Err(Refusal::ModeForbidsFrame);
    }
    let (head, smallest) = fields(&mut r, first & 0x0F, mode)?;
    let rest = r.rest();
    let least = smallest + mode.tag_octets();
    if rest.len() < least {
        return Err(Refusal::Truncated);
    }
    let exact = mode == Mode::Clear || matches!(head, Downlink::CallNow { .. });
    if exact && rest.len() > least {
        return Err(Refusal::TrailingBytes);
    }
    if flags & 0x1F != 0 {
        return Err(Refusal::ReservedBits);
    }
    match head {
        Downlink::CallNow { key_version: 0, .. } => return Err(Refusal::BadValue),
        Downlink::Answer { counter, .. } if !COUNTERS.contains(&counter) => {
            return Err(Refusal::BadValue);
        }
        _ => {}
    }
    let header = frame
        .get(..frame.len() - rest.len())
        .ok_or(Refusal::Truncated)?;
    Ok((head, header, rest))
}

/// Fields after the flags octet, and the octets of the smallest plaintext.
fn fields(r: &mut Reader<'_>, kind: u8, mode: Mode) -> Result<(Downlink, usize), Refusal> {
    Ok(match kind {
        0x9 => {
            let counter = r.u32()?;
            let ns = if mode == Mode::Clear {
                None
            } else {
                Some(r.array()?)
            };
            (Downlink::Answer { mode, counter, ns }, 3)
        }
        0xA => (
            Downlink::ResyncAnswer {
                mode,
                ns: r.array()?,
            },
            4,
        ),
        _ => {
            let (key_version, identity) = (r.u8()?, Identity(r.array()?));
            (
                Downlink::CallNow {
                    mode,
                    key_version,
                    identity,
                    counter: r.u32()?,
                },
                0,
            )
        }
    })
}

/// A command, with the octets that its MAC covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Octets 0 to 11 of the item's body.
    pub head: [u8; 12],
    /// Command key version.
    pub key_version: u8,
    /// Command sequence.
    pub sequence: u32,
    /// Kind.
    pub kind: u8,
    /// The meter; not looked at for kinds without one.
    pub meter: MeterRef,
    /// Bound to one uplink.
    pub bound: bool,
    /// Precondition.
    pub precondition: u8,
    /// UTC seconds.
    pub not_after: u32,
    /// Parameters.
    pub parameters: Vec<u8>,
    /// The MAC.
    pub mac: [u8; 16],
}

fn command(body: &[u8]) -> Result<Command, Refusal> {
    let (rest, mac) = body.split_last_chunk::<16>().ok_or(Refusal::Truncated)?;
    let mut r = Reader::new(rest);
    let head: [u8; 12] = r.array()?;
    let parameters = r.rest().to_vec();
    let mut h = Reader::new(&head);
    let (key_version, sequence) = (h.u8()?, h.u32()?);
    let (kind, meter, precondition) = (h.u8()?, h.u8()?, h.u8()?);
    if key_version == 0 || sequence == 0 {
        return Err(Refusal::BadValue);
    }
    Ok(Command {
        head,
        key_version,
        sequence,
        kind,
        meter: MeterRef {
            slot: meter >> 4,
            generation: meter & 0x0F,
        },
        bound: precondition & 0x80 != 0,
        precondition: precondition & 0x7F,
        not_after: h.u32()?,
        parameters,
        mac: *mac,
    })
}

/// A wake slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// 1 to 15.
    pub version: u8,
    /// Second of the UTC day.
    pub second: u32,
}

/// The items of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Items {
    /// Seconds to wait.
    pub come_back_s: Option<u32>,
    /// A wake slot.
    pub slot: Option<Slot>,
    /// The counter floor.
    pub floor: Option<u32>,
    /// Commands, in order.
    pub commands: Vec<Command>,
    /// Unknown items without the critical bit: number and body.
    pub skipped: Vec<(u8, Vec<u8>)>,
}

/// Reads answer items to the end; `barred` are numbers that this frame must not hold.
///
/// # Errors
/// The first rule that they break.
// spec: FRM-19, FRM-20, FRM-21, ANS-11, ANS-12, GEN-5
pub fn items(octets: &[u8], barred: &[u8]) -> Result<Items, Refusal> {
    let mut r = Reader::new(octets);
    let mut out = Items::default();
    let mut last = 0;
    while !r.is_empty() {
        let type_octet = r.u8()?;
        let (critical, number) = (type_octet & 0x80 != 0, type_octet & 0x7F);
        if number == 0 || number == 0x7F {
            return Err(Refusal::BadValue);
        }
        if number < last || (number == last && number != 5) {
            return Err(Refusal::NonCanonical);
        }
        last = number;
        let fixed = match number {
            1 | 2 => Some(false),
            3 | 5..=7 => Some(true),
            _ => None,
        };
        if fixed.is_some_and(|bit| bit != critical) || barred.contains(&number) {
            return Err(Refusal::BadValue);
        }
        if critical && !matches!(number, 3 | 5) {
            return Err(Refusal::UnknownCriticalItem(number));
        }
        let length = usize::try_from(r.varint(MAX_ITEM)?).map_err(|_| Refusal::Truncated)?;
        let body = r.take(length)?;
        item(&mut out, number, body)?;
    }
    Ok(out)
}

// spec: ANS-11, ANS-12, ANS-19
fn item(out: &mut Items, number: u8, body: &[u8]) -> Result<(), Refusal> {
    let mut b = Reader::new(body);
    match number {
        1 => {
            let units = u32::from(b.u16()?);
            if !(1..=21_600).contains(&units) {
                return Err(Refusal::BadValue);
            }
            out.come_back_s = Some(units * 4);
        }
        2 => {
            let (version, second) = (b.u8()?, b.u24()?);
            if !(1..=15).contains(&version) || second > 86_399 {
                return Err(Refusal::BadValue);
            }
            out.slot = Some(Slot { version, second });
        }
        3 => {
            let floor = b.u32()?;
            if !COUNTERS.contains(&floor) {
                return Err(Refusal::BadValue);
            }
            out.floor = Some(floor);
        }
        5 => {
            let next = command(body)?;
            if out
                .commands
                .last()
                .is_some_and(|c| c.sequence >= next.sequence)
            {
                return Err(Refusal::NonCanonical);
            }
            out.commands.push(next);
            return Ok(());
        }
        _ => {
            out.skipped.push((number, body.to_vec()));
            return Ok(());
        }
    }
    b.finish()
}

/// The plaintext of an ANSWER.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The uplink's records are safe.
    pub ack: bool,
    /// Nothing more waits.
    pub finished: bool,
    /// Another uplink is wanted.
    pub more: bool,
    /// A new store epoch is wanted.
    pub new_epoch: bool,
    /// The uplink had no ticket.
    pub unproven: bool,
    /// Bit i is the frame with the counter N - 1 - i.
    pub map: u16,
    /// Items.
    pub items: Items,
}

/// Reads the plaintext of an ANSWER.
///
/// # Errors
/// The first rule that it breaks.
// spec: GEN-7, ANS-3, ANS-13, ANS-14, SEC-4
pub fn answer(mode: Mode, plaintext: &[u8]) -> Result<Answer, Refusal> {
    let mut r = Reader::new(plaintext);
    let flags = r.u8()?;
    if flags & 0xE0 != 0 {
        return Err(Refusal::ReservedBits);
    }
    let map = r.u16()?;
    let bit = |n: u8| flags & (1 << n) != 0;
    if bit(1) && bit(2) {
        return Err(Refusal::BadValue);
    }
    if mode == Mode::Clear && !r.is_empty() {
        return Err(Refusal::TrailingBytes);
    }
    let items = items(r.rest(), if bit(0) { &[3] } else { &[] })?;
    Ok(Answer {
        ack: bit(0),
        finished: bit(1),
        more: bit(2),
        new_epoch: bit(3),
        unproven: bit(4),
        map,
        items,
    })
}

/// Reads the plaintext of a `RESYNC_ANSWER`.
///
/// # Errors
/// The first rule that it breaks.
// spec: ANS-15, ANS-19
pub fn resync_answer(plaintext: &[u8]) -> Result<(u32, Items), Refusal> {
    let mut r = Reader::new(plaintext);
    let floor = r.u32()?;
    if !COUNTERS.contains(&floor) {
        return Err(Refusal::BadValue);
    }
    let items = items(r.rest(), &[3, 5])?;
    Ok((floor, items))
}
