//! The customer numbers of some terminals in a snapshot: `[8] terminal, u8 octets, those octets`
//! each.

use nom::bytes::complete::take;
use nom::multi::length_data;
use nom::number::complete::le_u8;
use nom::{IResult, Parser as _};

use super::super::table::HotTable;
use crate::model::TerminalId;

/// Octets beside a customer number.
pub(super) const BESIDE_LEN: usize = 9;

/// Octets that [`put`] takes at most.
pub(super) const fn len_of(customer: &str) -> usize {
    customer.len().saturating_add(BESIDE_LEN)
}

/// Writes the customer number of a terminal.
pub(super) fn put(out: &mut Vec<u8>, terminal: TerminalId, customer: &str) {
    // No event lets a longer one in.
    let Ok(len) = u8::try_from(customer.len()) else {
        return;
    };
    out.extend_from_slice(&terminal.octets());
    out.push(len);
    out.extend_from_slice(customer.as_bytes());
}

/// Reads what [`put`] wrote into the entries; none if it is damaged.
pub(super) fn read(mut content: &[u8], table: &HotTable) -> Option<()> {
    while !content.is_empty() {
        let (rest, (terminal, customer)) = one(content).ok()?;
        content = rest;
        let terminal = TerminalId::new(*terminal.first_chunk::<8>()?);
        let customer = str::from_utf8(customer).ok()?;
        // One without an entry, as earlier servers may have written, comes with the frames that
        // follow.
        table.with(terminal, |mut entry| entry.set_customer(Some(customer)));
    }
    Some(())
}

fn one(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    (take(8_usize), length_data(le_u8)).parse(input)
}
