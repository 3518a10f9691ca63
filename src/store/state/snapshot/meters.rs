//! The octets of M-Bus meters in a snapshot, little-endian.
//!
//! ```text
//! [8]  meter, in the order of the link   windows, each: u8 key number, u8 key version,
//! [8]  utility whose gateways hear it           [84] ReplayWindow::encode
//! u64  applied                           digests, each: u64 digest, u32 heard, UTC seconds
//! u32  last contact, UTC seconds
//! u8   windows, at most 4
//! u8   digests, at most 240
//! ```
//!
//! Windows stand in the order in which they were used last, digests in that in which they were
//! heard. A block holds whole meters.

use nom::Parser as _;
use nom::bytes::complete::take;
use nom::combinator::map_opt;
use nom::multi::count;
use nom::number::complete::{le_u8, le_u32, le_u64};

use super::super::meters::{Meter, MeterKey, MeterTable, RECENT_MAX, WINDOWS_MAX};
use crate::keyring::UtilityId;
use crate::model::Lsn;
use crate::session::mbus::{KeyId, KeyName, KeyVersion, ReplayWindow};

const WINDOW_LEN: usize = 2 + ReplayWindow::OCTETS;
const DIGEST_LEN: usize = 12;
/// Octets of a meter at most.
pub(super) const METER_LEN_MAX: usize = 30 + WINDOW_LEN * WINDOWS_MAX + DIGEST_LEN * RECENT_MAX;

/// Appends a meter.
pub(super) fn put(out: &mut Vec<u8>, (address, utility): MeterKey, meter: &Meter) {
    let short = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
    out.extend_from_slice(&address);
    out.extend_from_slice(&utility.octets());
    out.extend_from_slice(&meter.applied.get().to_le_bytes());
    out.extend_from_slice(&meter.last_contact_utc_s.to_le_bytes());
    out.extend_from_slice(&[short(meter.windows.len()), short(meter.recent.len())]);
    for (key, window) in &meter.windows {
        out.extend_from_slice(&[key.id.0, key.version.0]);
        out.extend_from_slice(&window.encode());
    }
    for (digest, at_utc_s) in &meter.recent {
        out.extend_from_slice(&digest.to_le_bytes());
        out.extend_from_slice(&at_utc_s.to_le_bytes());
    }
}

/// Reads the meters of a block into a table. None if its octets are not those of meters.
pub(super) fn read(mut content: &[u8], table: &MeterTable) -> Option<()> {
    while !content.is_empty() {
        let (rest, (key, meter)) = meter(content).ok()?;
        table.restore(key, meter);
        content = rest;
    }
    Some(())
}

type Read<'a, T> = nom::IResult<&'a [u8], T>;

fn meter(input: &[u8]) -> Read<'_, (MeterKey, Meter)> {
    let eight = |octets: &[u8]| octets.first_chunk::<8>().copied();
    let (input, address) = map_opt(take(8_usize), eight).parse(input)?;
    let (input, utility) = map_opt(take(8_usize), eight).parse(input)?;
    let (input, (applied, last_contact_utc_s)) = (le_u64, le_u32).parse(input)?;
    let at_most =
        |most: usize| nom::combinator::verify(le_u8, move |count: &u8| usize::from(*count) <= most);
    let (input, (windows, recent)) = (at_most(WINDOWS_MAX), at_most(RECENT_MAX)).parse(input)?;
    let (input, windows) = count(window, usize::from(windows)).parse(input)?;
    let (input, recent) = count((le_u64, le_u32), usize::from(recent)).parse(input)?;
    let meter = Meter {
        applied: Lsn::new(applied),
        last_contact_utc_s,
        windows,
        recent: recent.into(),
    };
    Ok((input, ((address, UtilityId::new(utility)), meter)))
}

fn window(input: &[u8]) -> Read<'_, (KeyName, ReplayWindow)> {
    let (input, (id, version)) = (le_u8, le_u8).parse(input)?;
    let whole = |octets: &[u8]| ReplayWindow::decode(octets.first_chunk()?);
    let (input, window) = map_opt(take(ReplayWindow::OCTETS), whole).parse(input)?;
    let key = KeyName {
        id: KeyId(id),
        version: KeyVersion(version),
    };
    Ok((input, (key, window)))
}

#[cfg(test)]
#[path = "meters_tests.rs"]
mod tests;
