//! Beginning with what is in memory, where the log's beginning is gone and no copy is there.

use std::collections::HashMap;

use rusqlite::{Connection, TransactionBehavior};

use super::FoldedError;
use super::cells::Access;
use super::meter_rows::{Latest, MeterRow};
use super::rows::{MetaRow, TerminalRow, UtilityRow};
use crate::model::{Lsn, TerminalId};
use crate::store::state::table::SHARDS;
use crate::store::state::{Directory, HotEntry, MeterTrack, State};

/// Lays what is in memory over what a file has, and lets folding go on from `first`. Each row
/// remembers which frames it has seen.
pub(super) fn seed(
    connection: &mut Connection,
    state: &State,
    first: Lsn,
) -> Result<MetaRow, FoldedError> {
    let directory = state.directory().clone();
    for shard in 0..SHARDS {
        let mut found = Vec::new();
        state.table.show_shard(shard, |hot, further| {
            found.push((*hot, further.to_vec()));
        });
        let mut customers = HashMap::new();
        state.table.show_customers(shard, |id, customer| {
            customers.insert(id, customer.to_owned());
        });
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut terminals = Access::new::<TerminalRow>(&transaction)?;
            let mut meters = Access::new::<MeterRow>(&transaction)?;
            for (hot, further) in &found {
                let key = i64::from_be_bytes(hot.id.octets());
                let known = terminals.get(&[key])?;
                let mut row = terminal(known, hot, &directory);
                row.customer = customers.remove(&hot.id);
                terminals.put(&row)?;
                for track in std::iter::once(&hot.meter).chain(further) {
                    if track.used {
                        let known = meters.get(&[key, track.meter.into()])?;
                        meters.put(&meter(known, hot.id, track))?;
                    }
                }
            }
        }
        transaction.commit()?;
    }
    let transaction = connection.transaction()?;
    {
        let mut utilities = Access::new::<UtilityRow>(&transaction)?;
        for utility in &directory.utilities {
            utilities.put(&UtilityRow {
                id: TerminalId::new(utility.id.octets()),
                name: Some(utility.name.clone()),
                allow_mode0: utility.allow_mode0,
                commands_stopped: utility.commands_stopped,
            })?;
        }
    }
    let meta = MetaRow {
        position: first,
        received_utc_s: 0,
    };
    Access::new::<MetaRow>(&transaction)?.put(&meta)?;
    transaction.commit()?;
    Ok(meta)
}

fn terminal(known: Option<TerminalRow>, hot: &HotEntry, directory: &Directory) -> TerminalRow {
    let mut row = known.unwrap_or_else(|| TerminalRow::new(hot.id));
    let utility = directory.utility(hot.utility);
    row.utility = TerminalId::new(utility.map(|one| one.id.octets()).unwrap_or_default());
    row.applied = hot.applied;
    row.registered = hot.pinned.registered;
    row.mode = hot.pinned.mode.number();
    row.pending_mode = hot.pinned.pending_mode.map(|mode| mode.number());
    row.key_version = hot.pinned.promoted;
    row.readmitted_version = hot.pinned.readmitted;
    row.counter = hot.window.highest();
    row.epoch = hot.sequences().epoch;
    row.highest_sequence = hot.sequences().highest;
    row.last_contact_utc_s = hot.last_contact_utc_s;
    row
}

fn meter(known: Option<MeterRow>, terminal: TerminalId, track: &MeterTrack) -> MeterRow {
    let mut row = known.unwrap_or_else(|| MeterRow::new(terminal, track.meter));
    let latest = Latest {
        measured_at_utc_s: track.at_utc_s,
        register: track.register,
        unit: track.unit,
        ..Latest::default()
    };
    row.register(latest, track.bound);
    row
}
