//! Beginning with what is in memory, where the log's beginning is gone and no copy is there.

use rusqlite::{Connection, TransactionBehavior};

use super::cells::Access;
use super::meter_rows::{Latest, MeterRow};
use super::rows::MetaRow;
use super::{FoldedError, Place, move_pages};
use crate::model::{Lsn, TerminalId};
use crate::store::state::table::SHARDS;
use crate::store::state::{MeterTrack, State};

/// Meters between two looks at the room of the disk.
const METERS_AT_ONCE: usize = 256;

/// Lays the meters that memory knows over what a file has, and lets folding go on from `first`.
pub(super) fn seed(
    connection: &mut Connection,
    place: &Place,
    state: &State,
    first: Lsn,
) -> Result<MetaRow, FoldedError> {
    for shard in 0..SHARDS {
        let mut found = Vec::new();
        state.table.show_shard(shard, |hot, further, _| {
            let tracks = std::iter::once(&hot.meter).chain(further);
            let used = tracks.filter(|track| track.used);
            found.extend(used.map(|track| (hot.id, *track)));
        });
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut meters = Access::new::<MeterRow>(&transaction)?;
            for (number, (terminal, track)) in found.iter().enumerate() {
                if number % METERS_AT_ONCE == 0 {
                    place.may_write_on()?;
                }
                let key = i64::from_be_bytes(terminal.octets());
                let known = meters.get(&[key, track.meter.into()])?;
                meters.put(&meter(known, *terminal, track))?;
            }
        }
        transaction.commit()?;
        move_pages(connection)?;
    }
    let meta = MetaRow {
        position: first,
        received_utc_s: 0,
    };
    Access::new::<MetaRow>(connection)?.put(&meta)?;
    Ok(meta)
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
