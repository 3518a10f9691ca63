//! Tables of meters' keys: text to a ring, with every mistake, its line and its column.
//!
//! ```text
//! meter,utility,key_id,version,state,policy,key
//! ELS-12345678-33-03,a1b2c3d4e5f60718,00,00,current,,000102030405060708090a0b0c0d0e0f
//! 9315785634123303,a1b2c3d4e5f60718,00,01,next,,101112131415161718191a1b1c1d1e1f
//! ```
//!
//! The first line names the columns, in any order. `key_id` and `version` are two hexadecimal
//! digits and 00 where they are left out; `state` is `current`, `next` or `previous`, and `current`
//! where it is left out; `policy` is `clear_allowed` or `must_be_encrypted`, and where no line of a
//! meter says one, its telegrams must be encrypted. A byte order mark, ends of lines of either
//! kind, quotes around a value and empty lines are taken as spreadsheets write them.
//!
//! The text holds keys, perhaps in the wrong column: no mistake repeats any of it.

use std::fmt;

use zeroize::Zeroizing;

use super::asked::{KeyId, KeyVersion, Policy};
use super::meter::{NoMeter, parse_meter};
use super::ring::{AddMeterKeyError, MeterKeyring, NewMeterKey, VersionState};
use crate::crypto::key::Key128;
use crate::keyring::{NoUtilityId, UtilityId, hex};
use crate::table::{self, LINE_MAX_OCTETS};

/// Octets of a table at most.
pub const TABLE_MAX_OCTETS: usize = 512 << 20;

/// A column.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Column {
    /// The meter, see [`parse_meter`].
    Meter,
    /// Its utility: 16 hexadecimal digits.
    Utility,
    /// The number of the key: two hexadecimal digits, 00 to 0F.
    KeyId,
    /// The version of the key: two hexadecimal digits.
    Version,
    /// Which of the versions it is.
    State,
    /// What the meter's telegrams must be.
    Policy,
    /// The key: 32 hexadecimal digits.
    Key,
}

impl Column {
    const ALL: [Self; 7] = [
        Self::Meter,
        Self::Utility,
        Self::KeyId,
        Self::Version,
        Self::State,
        Self::Policy,
        Self::Key,
    ];
    const NEEDED: [Self; 3] = [Self::Meter, Self::Utility, Self::Key];

    /// Its name in the first line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meter => "meter",
            Self::Utility => "utility",
            Self::KeyId => "key_id",
            Self::Version => "version",
            Self::State => "state",
            Self::Policy => "policy",
            Self::Key => "key",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        let is_it = |column: &Self| column.name().as_bytes() == name;
        Self::ALL.into_iter().find(is_it)
    }
}

/// What is wrong with a table or a line of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// There is no line with names.
    #[error(
        "the first line has to name the columns: meter,utility,key_id,version,state,policy,key"
    )]
    NoHeader,
    /// A column that there is not.
    #[error(
        "name {0} of the first line is no column: the columns are \
         meter,utility,key_id,version,state,policy,key"
    )]
    UnknownColumn(usize),
    /// A column that is there twice.
    #[error("the column stands there twice")]
    ColumnTwice,
    /// A column that is missing.
    #[error("the column is missing")]
    ColumnMissing,
    /// Another number of values than columns.
    #[error("the line has {found} values, and the first line names {wanted} columns")]
    Values {
        /// How many it has.
        found: usize,
        /// How many there are to be.
        wanted: usize,
    },
    /// A line that is too long.
    #[error("the line is longer than {LINE_MAX_OCTETS} octets")]
    LineTooLong,
    /// A value that is no text.
    #[error("the value is not UTF-8: save the table as UTF-8")]
    NotUtf8,
    /// A text that names no meter.
    #[error(transparent)]
    Meter(#[from] NoMeter),
    /// A text that names no utility.
    #[error(transparent)]
    Utility(#[from] NoUtilityId),
    /// Not two digits.
    #[error("two hexadecimal digits are wanted")]
    NotAnOctet,
    /// Not a state.
    #[error("a state is current, next or previous")]
    State,
    /// Not a policy.
    #[error("a policy is clear_allowed or must_be_encrypted")]
    Policy,
    /// Not a key.
    #[error("a key is 32 hexadecimal digits")]
    Key,
    /// The ring does not take the key.
    #[error(transparent)]
    Refused(#[from] AddMeterKeyError),
    /// A table that is too long.
    #[error("a table has at most {TABLE_MAX_OCTETS} octets: split it")]
    TableTooLong,
}

/// A mistake of such a table.
pub type Mistake = table::Mistake<Column, Problem>;

/// The mistakes of such a table.
pub type Mistakes = table::Mistakes<Column, Problem>;

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, problem) = (self.line, &self.problem);
        match self.column {
            Some(column) => write!(f, "line {line}, {}: {problem}", column.name()),
            None => write!(f, "line {line}: {problem}"),
        }
    }
}

impl fmt::Display for Mistakes {
    /// A line each, the last one without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.named.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        let named = u64::try_from(self.named.len()).unwrap_or(u64::MAX);
        match self.total.saturating_sub(named) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// Reads a table whole. Keys are copied into the ring and nowhere else; wiping the text is the
/// caller's matter.
///
/// # Errors
///
/// [`Mistakes`], all of them, the first thousand by name.
pub fn parse(octets: &[u8]) -> Result<MeterKeyring, Mistakes> {
    let mut mistakes = Mistakes::default();
    if octets.len() > TABLE_MAX_OCTETS {
        mistakes.add(1, None, Problem::TableTooLong);
        return Err(mistakes);
    }
    let mut lines = table::lines(octets);
    let columns = match lines.next() {
        Some((number, line)) => header(number, line, &mut mistakes),
        None => {
            mistakes.add(1, None, Problem::NoHeader);
            None
        }
    };
    // Without its columns, a line means nothing.
    let Some(columns) = columns else {
        return Err(mistakes);
    };
    let mut ring = MeterKeyring::new();
    for (number, line) in lines {
        let Some(row) = row(number, line, &columns, &mut mistakes) else {
            continue;
        };
        if let Err(refused) = ring.add(row) {
            mistakes.add(number, column_of(refused), refused.into());
        }
    }
    if mistakes.total == 0 {
        Ok(ring)
    } else {
        Err(mistakes)
    }
}

const fn column_of(refused: AddMeterKeyError) -> Option<Column> {
    Some(match refused {
        AddMeterKeyError::OtherUtility => Column::Utility,
        AddMeterKeyError::OtherPolicy => Column::Policy,
        AddMeterKeyError::NotAKeyId => Column::KeyId,
        AddMeterKeyError::VersionTaken => Column::Version,
        AddMeterKeyError::StateTaken => Column::State,
        AddMeterKeyError::Full => return None,
    })
}

/// The values of a line, without white space and quotes around them. No value may hold a comma.
fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|octet| *octet == b',').map(|value| {
        let value = value.trim_ascii();
        let inner = value
            .strip_prefix(b"\"")
            .and_then(|it| it.strip_suffix(b"\""));
        inner.unwrap_or(value)
    })
}

fn header(number: u32, line: &[u8], mistakes: &mut Mistakes) -> Option<Vec<Column>> {
    let before = mistakes.total;
    if line.len() > LINE_MAX_OCTETS {
        mistakes.add(number, None, Problem::LineTooLong);
        return None;
    }
    let mut columns = Vec::new();
    for (place, name) in (1..).zip(values(line)) {
        match Column::from_name(name) {
            None => mistakes.add(number, None, Problem::UnknownColumn(place)),
            Some(column) if columns.contains(&column) => {
                mistakes.add(number, Some(column), Problem::ColumnTwice);
            }
            Some(column) => columns.push(column),
        }
    }
    if columns.is_empty() {
        mistakes.add(number, None, Problem::NoHeader);
    } else {
        for column in Column::NEEDED {
            if !columns.contains(&column) {
                mistakes.add(number, Some(column), Problem::ColumnMissing);
            }
        }
    }
    (mistakes.total == before).then_some(columns)
}

/// What a line says so far.
#[derive(Default)]
struct Draft {
    meter: Option<crate::wire::mbus::address::Address>,
    utility: Option<UtilityId>,
    policy: Option<Policy>,
    id: KeyId,
    version: KeyVersion,
    state: VersionState,
    key: Option<Key128>,
}

impl Draft {
    fn take(&mut self, column: Column, value: &[u8]) -> Result<(), Problem> {
        let text = std::str::from_utf8(value).map_err(|_| Problem::NotUtf8)?;
        match column {
            Column::Meter => self.meter = Some(parse_meter(text)?),
            Column::Utility => self.utility = Some(text.parse()?),
            Column::Key => self.key = Some(key(value)?),
            // The others may be empty.
            _ if value.is_empty() => {}
            Column::KeyId => self.id = KeyId(octet(value)?),
            Column::Version => self.version = KeyVersion(octet(value)?),
            Column::State => {
                self.state = VersionState::from_id(text).ok_or(Problem::State)?;
            }
            Column::Policy => {
                self.policy = Some(Policy::from_id(text).ok_or(Problem::Policy)?);
            }
        }
        Ok(())
    }

    fn finish(self) -> Option<NewMeterKey> {
        Some(NewMeterKey {
            meter: self.meter?,
            utility: self.utility?,
            policy: self.policy,
            id: self.id,
            version: self.version,
            state: self.state,
            key: self.key?,
        })
    }
}

/// A line; none if anything is wrong with it.
fn row(
    number: u32,
    line: &[u8],
    columns: &[Column],
    mistakes: &mut Mistakes,
) -> Option<NewMeterKey> {
    let before = mistakes.total;
    if line.len() > LINE_MAX_OCTETS {
        mistakes.add(number, None, Problem::LineTooLong);
        return None;
    }
    let (found, wanted) = (values(line).count(), columns.len());
    if found != wanted {
        mistakes.add(number, None, Problem::Values { found, wanted });
        return None;
    }
    let mut draft = Draft::default();
    for (column, value) in columns.iter().zip(values(line)) {
        if let Err(problem) = draft.take(*column, value) {
            mistakes.add(number, Some(*column), problem);
        }
    }
    draft.finish().filter(|_| mistakes.total == before)
}

fn octet(value: &[u8]) -> Result<u8, Problem> {
    match hex::read(value) {
        Some((octets, 1)) => Ok(octets.first().copied().unwrap_or_default()),
        Some(_) | None => Err(Problem::NotAnOctet),
    }
}

fn key(value: &[u8]) -> Result<Key128, Problem> {
    let (octets, used) = hex::read(value).ok_or(Problem::Key)?;
    let key = octets.first_chunk::<16>().filter(|_| used == 16);
    let mut key = Zeroizing::new(*key.ok_or(Problem::Key)?);
    Ok(Key128::take(&mut key))
}
