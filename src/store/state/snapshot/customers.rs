//! The customer numbers of a shard in a snapshot: `[8] terminal, u8 octets, those octets` each.

use nom::bytes::complete::take;
use nom::multi::length_data;
use nom::number::complete::le_u8;
use nom::{IResult, Parser as _};

use super::super::table::HotTable;
use super::block::BLOCK_MAX;
use crate::model::TerminalId;

/// The content of blocks.
pub(super) fn blocks(table: &HotTable, shard: usize) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    table.show_customers(shard, |terminal, customer| {
        // No event lets a longer one in.
        let Ok(len) = u8::try_from(customer.len()) else {
            return;
        };
        let octets = customer.len().saturating_add(9);
        let has_room = |block: &Vec<u8>| block.len().saturating_add(octets) <= BLOCK_MAX;
        if !blocks.last().is_some_and(has_room) {
            blocks.push(Vec::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.extend_from_slice(&terminal.octets());
            block.push(len);
            block.extend_from_slice(customer.as_bytes());
        }
    });
    blocks
}

/// Reads what [`blocks`] gave into the entries; none if it is damaged.
pub(super) fn read(mut content: &[u8], table: &HotTable) -> Option<()> {
    while !content.is_empty() {
        let (rest, (terminal, customer)) = one(content).ok()?;
        content = rest;
        let terminal = TerminalId::new(*terminal.first_chunk::<8>()?);
        let customer = str::from_utf8(customer).ok()?;
        // One that was registered after the walk of the entries comes with the frames that follow.
        table.with(terminal, |mut entry| entry.set_customer(Some(customer)));
    }
    Some(())
}

fn one(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    (take(8_usize), length_data(le_u8)).parse(input)
}
