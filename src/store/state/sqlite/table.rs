//! Rows in and out of the tables.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::pass::{Pass, Quarantined};
use super::rows::{
    AlarmKey, AlarmRow, Binding, HealthRow, MeterRow, Rank, Registered, TerminalRow, ValveRow,
};
use crate::keyring::UtilityId;
use crate::model::{Lsn, TerminalId};

/// Items of quarantine that are kept.
const QUARANTINE_MAX: i64 = 10_000;
/// Alarms that are kept of a terminal, the last that were heard of.
const ALARMS_PER_TERMINAL: i64 = 256;

pub(super) const TERMINAL_COLUMNS: &str = "utility, customer, mode, registered, last_contact, \
     position, health_rank, battery_mv, remaining_percent, rsrp_dbm, snr_db, temperature_degc, \
     sends, reset_cause";
pub(super) const METER_COLUMNS: &str = "measured_at, register, unit, valve_rank, valve, \
     valve_cause, bound_rank, serial, medium, bound_unit, digits";
pub(super) const ALARM_COLUMNS: &str = "raised, seen, cleared, panel";

/// A number of the tables; what does not fit, which nothing writes, is the type's default.
fn number<T: TryFrom<i64> + Default>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let number: i64 = row.get(column)?;
    Ok(T::try_from(number).unwrap_or_default())
}

fn option<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let number: Option<i64> = row.get(column)?;
    Ok(number.and_then(|number| T::try_from(number).ok()))
}

fn octets<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    <[u8; N]>::column_result(row.get_ref(column)?).map_err(Into::into)
}

/// A number for the tables, whose integers have a sign.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn terminal_id(row: &Row<'_>, column: usize) -> rusqlite::Result<TerminalId> {
    octets(row, column).map(TerminalId::new)
}

/// Reads [`TERMINAL_COLUMNS`] from `first` on.
pub(super) fn terminal_row(row: &Row<'_>, first: usize) -> rusqlite::Result<TerminalRow> {
    let at = |column: usize| first.saturating_add(column);
    let utility: Option<Vec<u8>> = row.get(at(0))?;
    let utility = utility.and_then(|octets| <[u8; 8]>::try_from(octets).ok());
    let customer = row.get(at(1))?;
    let registered = utility.map(|octets| {
        Box::new(Registered {
            utility: UtilityId::new(octets),
            customer,
        })
    });
    Ok(TerminalRow {
        registered,
        mode: option(row, at(2))?,
        is_registered: row.get(at(3))?,
        last_contact_utc_s: number(row, at(4))?,
        position: Lsn::new(number(row, at(5))?),
        health: HealthRow {
            rank: Rank::from_sql(row.get(at(6))?),
            battery_mv: option(row, at(7))?,
            remaining_percent: option(row, at(8))?,
            rsrp_dbm: option(row, at(9))?,
            snr_db: option(row, at(10))?,
            temperature_degc: option(row, at(11))?,
            sends: number(row, at(12))?,
            reset_cause: number(row, at(13))?,
        },
    })
}

/// Reads [`METER_COLUMNS`] from `first` on.
pub(super) fn meter_row(row: &Row<'_>, first: usize) -> rusqlite::Result<MeterRow> {
    let at = |column: usize| first.saturating_add(column);
    let bound: Option<i64> = row.get(at(6))?;
    let binding = match bound {
        None => None,
        Some(rank) => Some(Box::new(Binding {
            rank: Rank::from_sql(rank),
            serial: row.get(at(7))?,
            medium: number(row, at(8))?,
            unit: number(row, at(9))?,
            digits: number(row, at(10))?,
        })),
    };
    Ok(MeterRow {
        measured_at_utc_s: number(row, at(0))?,
        register: number(row, at(1))?,
        unit: number(row, at(2))?,
        valve: ValveRow {
            rank: Rank::from_sql(row.get(at(3))?),
            state: number(row, at(4))?,
            cause: number(row, at(5))?,
        },
        binding,
    })
}

/// Reads [`ALARM_COLUMNS`] from `first` on.
pub(super) fn alarm_row(row: &Row<'_>, first: usize) -> rusqlite::Result<AlarmRow> {
    let at = |column: usize| first.saturating_add(column);
    Ok(AlarmRow {
        raised: Rank::from_sql(row.get(at(0))?),
        seen: Rank::from_sql(row.get(at(1))?),
        cleared: Rank::from_sql(row.get(at(2))?),
        panel: row.get(at(3))?,
    })
}

/// Reads meter, alarm and code from `first` on.
pub(super) fn alarm_key(row: &Row<'_>, first: usize) -> rusqlite::Result<AlarmKey> {
    Ok(AlarmKey {
        meter: number(row, first)?,
        alarm: number(row, first.saturating_add(1))?,
        code: octets(row, first.saturating_add(2))?,
    })
}

/// Where the log was read up to.
pub(super) fn applied(connection: &Connection) -> rusqlite::Result<Lsn> {
    let position = "SELECT position FROM applied";
    connection.query_row(position, [], |row| number(row, 0).map(Lsn::new))
}

/// Joins a pass into the tables, with the position after it, whole or not at all.
pub(super) fn apply(connection: &mut Connection, pass: Pass, applied: Lsn) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    apply_terminals(&transaction, &pass)?;
    apply_meters(&transaction, &pass)?;
    apply_alarms(&transaction, &pass)?;
    if !pass.quarantine.is_empty() {
        apply_quarantine(&transaction, &pass.quarantine)?;
    }
    transaction.execute("UPDATE applied SET position = ?1", [sql(applied.get())])?;
    transaction.commit()
}

fn apply_terminals(connection: &Connection, pass: &Pass) -> rusqlite::Result<()> {
    let mut get = connection.prepare_cached(&format!(
        "SELECT {TERMINAL_COLUMNS} FROM terminals WHERE terminal = ?1"
    ))?;
    let mut put = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO terminals(terminal, {TERMINAL_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    ))?;
    for (id, later) in &pass.terminals {
        let id = id.octets();
        let known = get.query_row([id], |row| terminal_row(row, 0)).optional()?;
        let mut row = known.unwrap_or_default();
        row.join(later.clone());
        let registered = row.registered.as_deref();
        let utility = registered.map(|registered| registered.utility.octets());
        put.execute(params![
            id,
            utility,
            registered.and_then(|registered| registered.customer.as_deref()),
            row.mode,
            row.is_registered,
            row.last_contact_utc_s,
            sql(row.position.get()),
            row.health.rank.sql(),
            row.health.battery_mv,
            row.health.remaining_percent,
            row.health.rsrp_dbm,
            row.health.snr_db,
            row.health.temperature_degc,
            row.health.sends,
            row.health.reset_cause,
        ])?;
    }
    Ok(())
}

fn apply_meters(connection: &Connection, pass: &Pass) -> rusqlite::Result<()> {
    let mut get = connection.prepare_cached(&format!(
        "SELECT {METER_COLUMNS} FROM meters WHERE terminal = ?1 AND meter = ?2"
    ))?;
    let mut put = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO meters(terminal, meter, {METER_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ))?;
    for ((id, meter), later) in &pass.meters {
        let id = id.octets();
        let known = get.query_row(params![id, meter], |row| meter_row(row, 0));
        let mut row = known.optional()?.unwrap_or_default();
        row.join(later.clone());
        let binding = row.binding.as_deref();
        put.execute(params![
            id,
            meter,
            row.measured_at_utc_s,
            sql(row.register),
            row.unit,
            row.valve.rank.sql(),
            row.valve.state,
            row.valve.cause,
            binding.map(|binding| binding.rank.sql()),
            binding.map(|binding| binding.serial.as_str()),
            binding.map(|binding| binding.medium),
            binding.map(|binding| binding.unit),
            binding.map(|binding| binding.digits),
        ])?;
    }
    Ok(())
}

fn apply_alarms(connection: &Connection, pass: &Pass) -> rusqlite::Result<()> {
    let mut get = connection.prepare_cached(&format!(
        "SELECT {ALARM_COLUMNS} FROM alarms
         WHERE terminal = ?1 AND meter = ?2 AND alarm = ?3 AND code = ?4"
    ))?;
    let mut put = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO alarms(terminal, meter, alarm, code, {ALARM_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    ))?;
    let mut bound = connection.prepare_cached(
        "DELETE FROM alarms WHERE terminal = ?1 AND max(seen, cleared) <
             (SELECT max(seen, cleared) AS last FROM alarms WHERE terminal = ?1
              ORDER BY last DESC LIMIT 1 OFFSET ?2)",
    )?;
    let mut last = None;
    for ((id, key), later) in &pass.alarms {
        let octets = id.octets();
        let place = params![octets, key.meter, key.alarm, key.code];
        let known = get.query_row(place, |row| alarm_row(row, 0)).optional()?;
        let mut row = known.unwrap_or_default();
        row.join(later.clone());
        let (raised, seen, cleared) = (row.raised.sql(), row.seen.sql(), row.cleared.sql());
        put.execute(params![
            octets, key.meter, key.alarm, key.code, raised, seen, cleared, row.panel
        ])?;
        if last.replace(id) != Some(id) {
            bound.execute(params![octets, ALARMS_PER_TERMINAL - 1])?;
        }
    }
    Ok(())
}

fn apply_quarantine(connection: &Connection, items: &[Quarantined]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO quarantine VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for item in items {
        put.execute(params![
            sql(item.position.get()),
            item.item,
            item.terminal.octets(),
            item.received_utc_s,
            item.number,
            item.sequence,
            item.kind.id(),
            item.reason,
        ])?;
    }
    let bound = "DELETE FROM quarantine WHERE position <
         (SELECT position FROM quarantine ORDER BY position DESC LIMIT 1 OFFSET ?1)";
    connection.execute(bound, [QUARANTINE_MAX - 1])?;
    Ok(())
}
