//! Writing a delta: one transaction, rows in the order of their keys, and the position with them.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};

use super::cells::{Access, Row};
use super::delta::{Delta, UtilityChange};
use super::facts::Fact;
use super::meter_rows::{AlarmRow, MeterRow};
use super::rows::{AuditRow, MetaRow, TerminalRow, UtilityRow};
use super::{FoldedError, Place};
use crate::model::TerminalId;
use crate::model::ids::octets_of_hex;

/// Terminals between two looks at the room of the disk.
const TERMINALS_AT_ONCE: usize = 256;

/// Writes a delta with the position that it ends at. All of it is there afterwards, or nothing.
///
/// # Errors
///
/// [`FoldedError`].
pub(super) fn apply(
    connection: &mut Connection,
    delta: &mut Delta,
    place: &Place,
) -> Result<(), FoldedError> {
    // In the order of the log within a terminal.
    delta.facts.sort_by_key(|(terminal, _)| *terminal);
    place.may_write_on()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut tables = Tables::new(&transaction)?;
        let of_each = delta.facts.chunk_by(|(a, _), (b, _)| a == b);
        for (number, of_one) in of_each.enumerate() {
            if number % TERMINALS_AT_ONCE == 0 {
                place.may_write_on()?;
            }
            tables.terminal(of_one)?;
        }
        let mut utilities = Access::new::<UtilityRow>(&transaction)?;
        for change in &delta.utilities {
            utility(&mut utilities, change)?;
        }
        let mut audit = Access::new::<AuditRow>(&transaction)?;
        for row in &delta.audit {
            audit.put(row)?;
        }
        Access::new::<MetaRow>(&transaction)?.put(&delta.meta)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The tables that hold something of terminals.
struct Tables<'c> {
    terminals: Access<'c>,
    meters: Access<'c>,
    alarms: Access<'c>,
}

impl<'c> Tables<'c> {
    fn new(connection: &'c Connection) -> Result<Self, FoldedError> {
        Ok(Self {
            terminals: Access::new::<TerminalRow>(connection)?,
            meters: Access::new::<MeterRow>(connection)?,
            alarms: Access::new::<AlarmRow>(connection)?,
        })
    }

    /// Takes in all facts of one terminal. Those of one that was never registered are nobody's.
    fn terminal(&mut self, facts: &[(i64, Fact)]) -> Result<(), FoldedError> {
        let Some((key, _)) = facts.first() else {
            return Ok(());
        };
        let id = TerminalId::new(key.to_be_bytes());
        let mut row: Option<TerminalRow> = self.terminals.get(&[*key])?;
        let mut meters = Loaded::default();
        let mut alarms = Loaded::default();
        let mut is_changed = false;
        for (_, fact) in facts {
            if let Fact::Change(_, super::facts::Change::Put { .. }) = fact {
                row.get_or_insert_with(|| TerminalRow::new(id));
            }
            let Some(terminal) = &mut row else {
                continue;
            };
            match fact {
                Fact::Change(lsn, change) => {
                    terminal.change(*lsn, change);
                    is_changed = true;
                }
                Fact::Health(at, health) => {
                    terminal.healthy(*at, *health);
                    is_changed = true;
                }
                Fact::Alarm(at, said, position) => {
                    let key = [*key, said.meter.into(), said.alarm.into(), said.code.into()];
                    let new = || AlarmRow::new(id, said.meter, said.alarm, said.code);
                    let alarm = alarms.row(&mut self.alarms, key, new)?;
                    alarm.said(*at, said.state, *position);
                }
                Fact::Register(meter, ..)
                | Fact::Valve(meter, ..)
                | Fact::Mounted(meter, ..)
                | Fact::Bound(meter) => {
                    let new = || MeterRow::new(id, *meter);
                    let row = meters.row(&mut self.meters, [*key, (*meter).into()], new)?;
                    take(row, fact);
                }
            }
        }
        if let Some(terminal) = row.filter(|_| is_changed) {
            self.terminals.put(&terminal)?;
        }
        meters.put_all(&mut self.meters)?;
        alarms.put_all(&mut self.alarms)
    }
}

fn take(meter: &mut MeterRow, fact: &Fact) {
    match fact {
        Fact::Register(_, latest, binds) => meter.register(*latest, *binds),
        Fact::Valve(_, at, valve) => meter.valve(*at, *valve),
        Fact::Mounted(_, at, mounted) => meter.mount(*at, mounted),
        Fact::Bound(_) => meter.bound = true,
        Fact::Change(..) | Fact::Health(..) | Fact::Alarm(..) => {}
    }
}

/// The rows of one terminal that its facts touch.
struct Loaded<K, R>(BTreeMap<K, R>);

impl<K, R> Default for Loaded<K, R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: AsRef<[i64]> + Copy + Ord, R: Row> Loaded<K, R> {
    fn row(
        &mut self,
        table: &mut Access<'_>,
        key: K,
        new: impl FnOnce() -> R,
    ) -> Result<&mut R, FoldedError> {
        match self.0.entry(key) {
            std::collections::btree_map::Entry::Occupied(row) => Ok(row.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let found = table.get(key.as_ref())?;
                Ok(place.insert(found.unwrap_or_else(new)))
            }
        }
    }

    fn put_all(self, table: &mut Access<'_>) -> Result<(), FoldedError> {
        self.0.values().try_for_each(|row| table.put(row))
    }
}

fn utility(table: &mut Access<'_>, change: &UtilityChange) -> Result<(), FoldedError> {
    let id = match change {
        UtilityChange::Put(entry) => octets_of_hex(&entry.id).map(TerminalId::new),
        UtilityChange::Stopped(id) | UtilityChange::Released(id) => Some(*id),
    };
    let Some(id) = id else {
        return Ok(());
    };
    let found: Option<UtilityRow> = table.get(&[i64::from_be_bytes(id.octets())])?;
    let mut row = found.unwrap_or(UtilityRow {
        id,
        name: None,
        allow_mode0: false,
        commands_stopped: false,
    });
    match change {
        UtilityChange::Put(entry) => {
            row.name = Some(entry.name.clone());
            row.allow_mode0 = entry.allow_mode0;
        }
        UtilityChange::Stopped(_) => row.commands_stopped = true,
        UtilityChange::Released(_) => row.commands_stopped = false,
    }
    table.put(&row)
}
