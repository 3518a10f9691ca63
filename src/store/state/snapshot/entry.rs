//! The octets of one terminal in a snapshot, little-endian.
//!
//! ```text
//! [8]  terminal                [76] replay window      u32  last contact, UTC seconds
//! u64  applied                 u32  highest command    [37] which records may be durable
//! u16  utility                 u8   hand-over          [16] first meter
//! u8   mode                    u8   outcome
//! u8   pending mode, 255 none  u32  command sequence
//! u8   promoted version        u32  bound counter
//! u8   readmitted version      u32  wake slot
//! u8   registered              u32  last call counter
//! u8   further meters, [16] each after the entry
//! ```
//!
//! A meter is u64 register, u32 UTC seconds, then unit, meter, bound and used, an octet each. A
//! hand-over is 0 for none, 1 in doubt, 2 reported without an outcome, 3 reported with one. A wake
//! slot has its version in the upper octet and its second of the day below, 0 for none.
//! Instead of the 37 octets of [`SequenceTrack::octets`], version 1 has u32 store epoch, u32
//! highest sequence and u64 recent sequences.

use core::num::NonZeroU32;

use nom::bytes::complete::take;
use nom::number::complete::{le_u8, le_u16, le_u32, le_u64};
use nom::{IResult, Parser as _};

use super::super::directory::UtilityIndex;
use super::super::hot::{HotEntry, MeterTrack, packed_slot, unpacked_slot};
use super::super::sequences::SequenceTrack;
use crate::model::{Lsn, TerminalId};
use crate::session::otl::hand_over::{CommandState, HandOver};
use crate::session::otl::link::LinkState;
use crate::session::otl::window::ReplayWindow;
use crate::wire::otl::ident::Mode;
use crate::wire::otl::registry::commands::Outcome;

/// Octets of an entry without its further meters.
pub(super) const ENTRY_LEN: usize = 142 + SequenceTrack::OCTETS;
/// Octets of a further meter.
pub(super) const METER_LEN: usize = 16;

const NO_MODE: u8 = 0xFF;

/// Writes an entry with its further meters, at most 255: a terminal has 256, and one is the first.
pub(super) fn put(out: &mut Vec<u8>, entry: &HotEntry, further: &[MeterTrack]) {
    let pinned = &entry.pinned;
    out.extend_from_slice(&entry.id.octets());
    out.extend_from_slice(&entry.applied.get().to_le_bytes());
    out.extend_from_slice(&entry.utility.get().to_le_bytes());
    out.extend_from_slice(&[
        pinned.mode.number(),
        pinned.pending_mode.map_or(NO_MODE, Mode::number),
        pinned.promoted,
        pinned.readmitted,
        u8::from(pinned.registered),
        u8::try_from(further.len()).unwrap_or(u8::MAX),
    ]);
    out.extend_from_slice(&entry.window.octets());
    put_commands(out, &entry.commands);
    let slot = packed_slot(entry.wake_slot());
    for number in [slot, entry.last_call, entry.last_contact_utc_s] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&entry.sequences().octets());
    put_meter(out, &entry.meter);
    for meter in further.iter().take(usize::from(u8::MAX)) {
        put_meter(out, meter);
    }
}

fn put_commands(out: &mut Vec<u8>, commands: &CommandState) {
    let (kind, outcome, sequence, counter) = match commands.last {
        None => (0, 0, 0, 0),
        Some(HandOver::InDoubt { sequence, counter }) => (1, 0, sequence.get(), counter),
        Some(HandOver::Reported { sequence, outcome }) => match outcome {
            None => (2, 0, sequence.get(), 0),
            Some(outcome) => (3, outcome.code(), sequence.get(), 0),
        },
    };
    out.extend_from_slice(&commands.highest.to_le_bytes());
    out.extend_from_slice(&[kind, outcome]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&counter.to_le_bytes());
}

fn put_meter(out: &mut Vec<u8>, meter: &MeterTrack) {
    out.extend_from_slice(&meter.register.to_le_bytes());
    out.extend_from_slice(&meter.at_utc_s.to_le_bytes());
    let (bound, used) = (u8::from(meter.bound), u8::from(meter.used));
    out.extend_from_slice(&[meter.unit, meter.meter, bound, used]);
}

/// Reads what [`put`] wrote, or wrote in an earlier version of the form.
pub(super) fn entry(version: u16, input: &[u8]) -> IResult<&[u8], (HotEntry, Vec<MeterTrack>)> {
    let (input, id) = octets(input)?;
    let (input, (applied, utility)) = (le_u64, le_u16).parse(input)?;
    let (input, (mode, pending_mode)) = (mode, pending_mode).parse(input)?;
    let (input, (promoted, readmitted)) = (le_u8, le_u8).parse(input)?;
    let (input, (registered, count)) = (le_u8, le_u8).parse(input)?;
    let (input, window) = octets(input)?;
    let (input, commands) = commands(input)?;
    let (input, (slot, last_call, last_contact_utc_s)) = (le_u32, le_u32, le_u32).parse(input)?;
    let (input, track) = track(version, input)?;
    let (mut input, first) = meter(input)?;
    let mut further = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (rest, track) = meter(input)?;
        input = rest;
        further.push(track);
    }
    let mut entry = HotEntry::new(TerminalId::new(id), UtilityIndex::new(utility), mode);
    entry.applied = Lsn::new(applied);
    entry.pinned.pending_mode = pending_mode;
    entry.pinned.promoted = promoted;
    entry.pinned.readmitted = readmitted;
    entry.pinned.registered = registered != 0;
    entry.set_link(&LinkState {
        window: ReplayWindow::from_octets(&window),
        commands,
        slot: unpacked_slot(slot),
        last_call,
    });
    entry.last_contact_utc_s = last_contact_utc_s;
    entry.set_sequences(&track);
    entry.meter = first;
    Ok((input, (entry, further)))
}

fn track(version: u16, input: &[u8]) -> IResult<&[u8], SequenceTrack> {
    if version == 1 {
        let (input, (epoch, highest, recent)) = (le_u32, le_u32, le_u64).parse(input)?;
        return Ok((input, SequenceTrack::of_version_1(epoch, highest, recent)));
    }
    let (input, found) = octets(input)?;
    Ok((input, SequenceTrack::from_octets(&found)))
}

fn octets<const N: usize>(input: &[u8]) -> IResult<&[u8], [u8; N]> {
    let (input, found) = take(N)(input)?;
    let found = found.first_chunk::<N>().copied();
    Ok((input, found.unwrap_or([0; N])))
}

fn mode(input: &[u8]) -> IResult<&[u8], Mode> {
    nom::combinator::map_opt(le_u8, Mode::from_number).parse(input)
}

fn pending_mode(input: &[u8]) -> IResult<&[u8], Option<Mode>> {
    let read = |number| match number {
        NO_MODE => Some(None),
        number => Mode::from_number(number).map(Some),
    };
    nom::combinator::map_opt(le_u8, read).parse(input)
}

fn commands(input: &[u8]) -> IResult<&[u8], CommandState> {
    let (rest, (highest, kind, outcome)) = (le_u32, le_u8, le_u8).parse(input)?;
    let (rest, (sequence, counter)) = (le_u32, le_u32).parse(rest)?;
    let sequence = NonZeroU32::new(sequence);
    let last = match (kind, sequence) {
        (0, _) => None,
        (1, Some(sequence)) => Some(HandOver::InDoubt { sequence, counter }),
        (2, Some(sequence)) => Some(HandOver::Reported {
            sequence,
            outcome: None,
        }),
        (3, Some(sequence)) => Some(HandOver::Reported {
            sequence,
            outcome: Some(Outcome::from_code(outcome)),
        }),
        _ => {
            let kind = nom::error::ErrorKind::Verify;
            return Err(nom::Err::Error(nom::error::Error::new(input, kind)));
        }
    };
    Ok((rest, CommandState { highest, last }))
}

fn meter(input: &[u8]) -> IResult<&[u8], MeterTrack> {
    let (input, (register, at_utc_s)) = (le_u64, le_u32).parse(input)?;
    let (input, (unit, meter, bound, used)) = (le_u8, le_u8, le_u8, le_u8).parse(input)?;
    let track = MeterTrack {
        register,
        at_utc_s,
        unit,
        meter,
        bound: bound != 0,
        used: used != 0,
    };
    Ok((input, track))
}
