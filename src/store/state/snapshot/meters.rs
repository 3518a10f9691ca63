//! The octets of M-Bus meters in a snapshot, little-endian.
//!
//! ```text
//! [8]  meter, in the order of the link   windows, each: u8 key number, u8 key version,
//! [8]  utility whose gateways hear it           [84] ReplayWindow::encode
//! u64  applied                           digests, each: u64 digest, u32 heard, UTC seconds
//! u32  last contact, UTC seconds
//! u8   windows, at most 4
//! u8   digests, at most 240              floors, each: u8 key number, u8 key version,
//! u8   floors, at most 64 (since 4)             u32 highest counter
//! u8   keys that sign mode 5, at most 64   keys that sign mode 5, each: u8 key number,
//!      (since 5; in 4 it is 1 or 0)              u8 key version
//! u32  when the latest digest that made room was heard, UTC seconds, 0 if none did (since 5)
//! u8   1 if floors may be missing, else 0 (since 5)
//! ```
//!
//! Windows stand in the order in which they were used last, digests in that in which they were
//! heard. A block holds whole meters.
//!
//! Files of version 3 have no floors and no octet after them, and those of version 4 that were
//! written after one of version 3 was read lack some: where all windows are in use, others may have
//! made room, also earlier ones of the same keys, and each leaves its highest counter as a floor.
//! Of older files than those of version 5 what made room is taken to be as late as it can be, and a
//! meter that signs to do so under each key that it has counters of. Of version 3 nothing says that
//! it signs: its next MAC does.

use nom::Parser as _;
use nom::bytes::complete::take;
use nom::combinator::{cond, map_opt, verify};
use nom::multi::count;
use nom::number::complete::{le_u8, le_u32, le_u64};

use super::super::meters::{
    FLOORS_MAX, Meter, MeterKey, MeterTable, RECENT_MAX, RECENT_MIN, SIGNING_MAX, WINDOWS_MAX,
};
use super::{MBUS_VERSION, METERS_VERSION};
use crate::keyring::UtilityId;
use crate::model::Lsn;
use crate::session::mbus::{KeyId, KeyName, KeyVersion, ReplayWindow};

const WINDOW_LEN: usize = 2 + ReplayWindow::OCTETS;
const DIGEST_LEN: usize = 12;
const FLOOR_LEN: usize = 6;
const KEY_LEN: usize = 2;
/// Octets of a meter at most.
pub(super) const METER_LEN_MAX: usize = 37
    + WINDOW_LEN * WINDOWS_MAX
    + DIGEST_LEN * RECENT_MAX
    + FLOOR_LEN * FLOORS_MAX
    + KEY_LEN * SIGNING_MAX;

/// Appends a meter.
pub(super) fn put(out: &mut Vec<u8>, (address, utility): MeterKey, meter: &Meter) {
    let short = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
    out.extend_from_slice(&address);
    out.extend_from_slice(&utility.octets());
    out.extend_from_slice(&meter.applied.get().to_le_bytes());
    out.extend_from_slice(&meter.last_contact_utc_s.to_le_bytes());
    let counts = [
        &meter.windows.len(),
        &meter.recent.len(),
        &meter.floors.len(),
        &meter.signing.len(),
    ];
    out.extend(counts.map(|len| short(*len)));
    out.extend_from_slice(&meter.lost_utc_s.unwrap_or(0).to_le_bytes());
    out.push(u8::from(meter.lacks_floors));
    for (key, window) in &meter.windows {
        out.extend_from_slice(&[key.id.0, key.version.0]);
        out.extend_from_slice(&window.encode());
    }
    for (digest, at_utc_s) in &meter.recent {
        out.extend_from_slice(&digest.to_le_bytes());
        out.extend_from_slice(&at_utc_s.to_le_bytes());
    }
    for (key, highest) in &meter.floors {
        out.extend_from_slice(&[key.id.0, key.version.0]);
        out.extend_from_slice(&highest.to_le_bytes());
    }
    for key in &meter.signing {
        out.extend_from_slice(&[key.id.0, key.version.0]);
    }
}

/// Reads the meters of a block into a table. None if its octets are not those of meters.
pub(super) fn read(version: u16, mut content: &[u8], table: &MeterTable) -> Option<()> {
    while !content.is_empty() {
        let (rest, (key, meter)) = meter(version, content).ok()?;
        table.restore(key, meter);
        content = rest;
    }
    Some(())
}

type Read<'a, T> = nom::IResult<&'a [u8], T>;

fn meter(version: u16, input: &[u8]) -> Read<'_, (MeterKey, Meter)> {
    let eight = |octets: &[u8]| octets.first_chunk::<8>().copied();
    let (input, address) = map_opt(take(8_usize), eight).parse(input)?;
    let (input, utility) = map_opt(take(8_usize), eight).parse(input)?;
    let (input, (applied, last_contact_utc_s)) = (le_u64, le_u32).parse(input)?;
    let at_most = |most: usize| verify(le_u8, move |count: &u8| usize::from(*count) <= most);
    let (input, (windows, recent)) = (at_most(WINDOWS_MAX), at_most(RECENT_MAX)).parse(input)?;
    let has_floors = version >= MBUS_VERSION;
    let says_keys = version >= METERS_VERSION;
    let signing_max = if says_keys { SIGNING_MAX } else { 1 };
    let of_floors = (at_most(FLOORS_MAX), at_most(signing_max));
    let (input, of_floors) = cond(has_floors, of_floors).parse(input)?;
    let (floors, signing) = of_floors.unwrap_or_default();
    let of_made_room = (le_u32, at_most(1));
    let (input, of_made_room) = cond(says_keys, of_made_room).parse(input)?;
    let (input, windows) = count(window, usize::from(windows)).parse(input)?;
    let (input, recent) = count((le_u64, le_u32), usize::from(recent)).parse(input)?;
    let (input, floors) = count(floor, usize::from(floors)).parse(input)?;
    let told = if says_keys { signing } else { 0 };
    let (input, mut keys) = count(key, usize::from(told)).parse(input)?;
    if signing > told {
        let of_windows = windows.iter().map(|(key, _)| *key);
        keys.extend(of_windows.chain(floors.iter().map(|(key, _)| *key)));
        keys.truncate(SIGNING_MAX);
    }
    let mut meter = Meter {
        applied: Lsn::new(applied),
        last_contact_utc_s,
        windows,
        recent: recent.into(),
        floors,
        signing: keys,
        ..Meter::default()
    };
    match of_made_room {
        Some((lost_utc_s, lacks_floors)) => {
            meter.lost_utc_s = Some(lost_utc_s).filter(|lost| *lost > 0);
            meter.lacks_floors = lacks_floors == 1;
        }
        None => take_what_may_be(&mut meter),
    }
    Ok((input, ((address, UtilityId::new(utility)), meter)))
}

/// Fills in what an older file does not say, as what asks the log most.
fn take_what_may_be(meter: &mut Meter) {
    if meter.recent.len() >= RECENT_MIN {
        meter.lost_utc_s = meter.recent.front().map(|(_, at)| *at);
    }
    if meter.windows.len() >= WINDOWS_MAX {
        meter.lacks_floors = true;
        for (key, window) in meter.windows.clone() {
            meter.note_floor(key, window.highest().unwrap_or_default());
        }
    }
}

fn key(input: &[u8]) -> Read<'_, KeyName> {
    let (input, (id, version)) = (le_u8, le_u8).parse(input)?;
    let key = KeyName {
        id: KeyId(id),
        version: KeyVersion(version),
    };
    Ok((input, key))
}

fn floor(input: &[u8]) -> Read<'_, (KeyName, u32)> {
    (key, le_u32).parse(input)
}

fn window(input: &[u8]) -> Read<'_, (KeyName, ReplayWindow)> {
    let whole = |octets: &[u8]| ReplayWindow::decode(octets.first_chunk()?);
    (key, map_opt(take(ReplayWindow::OCTETS), whole)).parse(input)
}

#[cfg(test)]
#[path = "meters_tests.rs"]
mod tests;
