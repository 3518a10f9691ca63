//! Writing a delta: one transaction, rows in the order of their keys, and the position with them.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};

use super::cells::{Access, Row};
use super::delta::Delta;
use super::facts::Fact;
use super::meter_rows::{AlarmRow, MeterRow};
use super::rows::{AuditRow, HealthRow, MetaRow};
use super::{FoldedError, Place};
use crate::model::TerminalId;

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
    health: Access<'c>,
    meters: Access<'c>,
    alarms: Access<'c>,
}

impl<'c> Tables<'c> {
    fn new(connection: &'c Connection) -> Result<Self, FoldedError> {
        Ok(Self {
            health: Access::new::<HealthRow>(connection)?,
            meters: Access::new::<MeterRow>(connection)?,
            alarms: Access::new::<AlarmRow>(connection)?,
        })
    }

    /// Takes in all facts of one terminal.
    fn terminal(&mut self, facts: &[(i64, Fact)]) -> Result<(), FoldedError> {
        let Some((key, _)) = facts.first() else {
            return Ok(());
        };
        let id = TerminalId::new(key.to_be_bytes());
        let mut health = Loaded::default();
        let mut meters = Loaded::default();
        let mut alarms = Loaded::default();
        for (_, fact) in facts {
            match fact {
                Fact::Health(at, said) => {
                    let new = || HealthRow::new(id);
                    let row = health.row(&mut self.health, [*key], new)?;
                    row.said(*at, *said);
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
        health.put_all(&mut self.health)?;
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
        Fact::Health(..) | Fact::Alarm(..) => {}
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
