//! The tables.

/// What tells a file of ours from other SQLite files: "KnFo".
pub(super) const APPLICATION_ID: i32 = 0x4B6E_466F;
/// The version of the tables. A file of another version is built anew: what is in it is in the log,
/// or was before the log forgot it.
pub const SCHEMA: i32 = 2;

/// What memory knows of a terminal (its registration, keys, counters) is not here again.
///
/// Identities are their eight octets as one big-endian integer: `printf('%016x', id)` shows them.
/// Times are UTC seconds, 0 or NULL where there is none. A register is an integer in units of its
/// `unit`, a code of the protocol's registry.
pub(super) const TABLES: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    received_utc_s INTEGER NOT NULL,
    row_check INTEGER NOT NULL
) STRICT;

CREATE TABLE health (
    terminal INTEGER PRIMARY KEY,
    at_utc_s INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    battery_mv INTEGER,
    remaining_percent INTEGER,
    rsrp_dbm INTEGER,
    snr_db INTEGER,
    temperature_degc INTEGER,
    sends INTEGER,
    reset_cause INTEGER,
    row_check INTEGER NOT NULL
) STRICT;

CREATE TABLE meter (
    terminal INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    table_at_utc_s INTEGER NOT NULL,
    table_sequence INTEGER NOT NULL,
    medium INTEGER,
    table_unit INTEGER,
    digits INTEGER,
    serial TEXT,
    register INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    measured_at_utc_s INTEGER NOT NULL,
    received_utc_s INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    position INTEGER NOT NULL,
    valve_at_utc_s INTEGER NOT NULL,
    valve_sequence INTEGER NOT NULL,
    valve INTEGER,
    row_check INTEGER NOT NULL,
    PRIMARY KEY (terminal, meter)
) STRICT, WITHOUT ROWID;

CREATE TABLE alarm (
    terminal INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    alarm INTEGER NOT NULL,
    code INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    raised_at_utc_s INTEGER NOT NULL,
    raised_sequence INTEGER NOT NULL,
    present_at_utc_s INTEGER NOT NULL,
    present_sequence INTEGER NOT NULL,
    cleared_at_utc_s INTEGER NOT NULL,
    cleared_sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    row_check INTEGER NOT NULL,
    PRIMARY KEY (terminal, meter, alarm, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX open_alarm ON alarm (terminal, meter, alarm, code) WHERE is_open = 1;

CREATE TABLE audit (
    position INTEGER NOT NULL,
    number INTEGER NOT NULL,
    after_utc_s INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    detail TEXT NOT NULL,
    row_check INTEGER NOT NULL,
    PRIMARY KEY (position, number)
) STRICT, WITHOUT ROWID;
";
