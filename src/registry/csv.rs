//! Tables of terminals: octets to rows, with every mistake and its line.
//!
//! ```text
//! terminal,utility,mode,customer
//! 00070000499602d2,a1b2c3d4e5f60718,1,C-0012345
//! 7:1234567891,a1b2c3d4e5f60718,2,
//! ```
//!
//! The first line names the columns, in any order. `customer` may be left out: then the numbers
//! that are known stay; where it is there and empty, a terminal has none. A byte order mark, ends
//! of lines of either kind, quotes and empty lines are taken as spreadsheets write them. One line
//! is one terminal: no value may hold an end of line.

use std::collections::HashMap;

use crate::keyring::{NoUtilityId, UtilityId};
use crate::model::TerminalId;

use super::command::{Row, is_customer};
use super::ident::{NoTerminal, parse_terminal};
use super::refusal::RowProblem;
use crate::table::{self, LINE_MAX_OCTETS};

/// Octets of a table at most.
pub const TABLE_MAX_OCTETS: usize = 512 << 20;
/// Rows of a table at most.
pub const ROWS_MAX: usize = 4_000_000;

/// A column.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Column {
    /// The terminal: 16 hexadecimal digits, or maker and serial in decimal.
    Terminal,
    /// Its utility: 16 hexadecimal digits.
    Utility,
    /// Its pinned mode: 0 to 3.
    Mode,
    /// Its opaque customer number.
    Customer,
}

impl Column {
    const ALL: [Self; 4] = [Self::Terminal, Self::Utility, Self::Mode, Self::Customer];

    /// Its name in the first line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Utility => "utility",
            Self::Mode => "mode",
            Self::Customer => "customer",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// What is wrong with a table or a line of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// There is no line with names.
    #[error("the first line has to name the columns: terminal,utility,mode,customer")]
    NoHeader,
    /// A column that there is not.
    #[error("there is no column {0:?}: the columns are terminal,utility,mode,customer")]
    UnknownColumn(String),
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
    /// Octets that are no UTF-8.
    #[error("the line is not UTF-8: save the table as UTF-8")]
    NotUtf8,
    /// A line that is too long.
    #[error("the line is longer than {LINE_MAX_OCTETS} octets")]
    LineTooLong,
    /// An octet that some programs take for the end of a line.
    #[error("a carriage return stands in the line: end lines with \\n or \\r\\n")]
    CarriageReturn,
    /// A quote without its partner.
    #[error("a quote has no partner in its line")]
    Quote,
    /// A text that names no terminal.
    #[error(transparent)]
    Terminal(#[from] NoTerminal),
    /// A text that names no utility.
    #[error(transparent)]
    Utility(#[from] NoUtilityId),
    /// A value or a line that no registry takes.
    #[error(transparent)]
    Row(#[from] RowProblem),
    /// A table that is too long.
    #[error("a table has at most {ROWS_MAX} terminals and {TABLE_MAX_OCTETS} octets: split it")]
    TableTooLong,
}

/// A mistake of such a table.
pub type Mistake = table::Mistake<Column, Problem>;

/// The mistakes of such a table.
pub type Mistakes = table::Mistakes<Column, Problem>;

/// Reads a table whole.
///
/// # Errors
///
/// [`Mistakes`], all of them.
pub fn parse(octets: &[u8]) -> Result<Vec<Row>, Mistakes> {
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
    let mut rows = Vec::new();
    let mut first_lines: HashMap<TerminalId, u32> = HashMap::new();
    for (number, line) in lines {
        if rows.len() >= ROWS_MAX {
            mistakes.add(number, None, Problem::TableTooLong);
            break;
        }
        let Some(row) = row(number, line, &columns, &mut mistakes) else {
            continue;
        };
        let terminal = row.terminal;
        if let Some(first) = first_lines.get(&terminal).copied() {
            let problem = RowProblem::Twice { terminal, first };
            mistakes.add(number, Some(Column::Terminal), problem.into());
        } else {
            first_lines.insert(terminal, number);
            rows.push(row);
        }
    }
    if mistakes.total == 0 {
        Ok(rows)
    } else {
        Err(mistakes)
    }
}

/// The values of a line.
fn values(line: &[u8]) -> Result<csv::StringRecord, Problem> {
    if line.len() > LINE_MAX_OCTETS {
        return Err(Problem::LineTooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| Problem::NotUtf8)?;
    if line.contains(&b'\r') {
        return Err(Problem::CarriageReturn);
    }
    let quotes = line.iter().filter(|octet| **octet == b'"').count();
    if !quotes.is_multiple_of(2) {
        return Err(Problem::Quote);
    }
    if quotes == 0 {
        return Ok(text.split(',').collect());
    }
    // A reader of its own for each line, so that a line is a line whatever stands in it. Making one
    // costs far more than reading a line without quotes.
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(LINE_MAX_OCTETS)
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(_) => Ok(record),
        Err(_) => Err(Problem::NotUtf8),
    }
}

fn header(number: u32, line: &[u8], mistakes: &mut Mistakes) -> Option<Vec<Column>> {
    let before = mistakes.total;
    let names = match values(line) {
        Ok(names) => names,
        Err(problem) => {
            mistakes.add(number, None, problem);
            return None;
        }
    };
    let mut columns = Vec::new();
    for name in names.iter().map(str::trim) {
        match Column::from_name(name) {
            None => {
                let name = name.chars().take(32).collect();
                mistakes.add(number, None, Problem::UnknownColumn(name));
            }
            Some(column) if columns.contains(&column) => {
                mistakes.add(number, Some(column), Problem::ColumnTwice);
            }
            Some(column) => columns.push(column),
        }
    }
    if columns.is_empty() {
        mistakes.add(number, None, Problem::NoHeader);
    } else {
        for column in [Column::Terminal, Column::Utility, Column::Mode] {
            if !columns.contains(&column) {
                mistakes.add(number, Some(column), Problem::ColumnMissing);
            }
        }
    }
    (mistakes.total == before).then_some(columns)
}

fn row(number: u32, line: &[u8], columns: &[Column], mistakes: &mut Mistakes) -> Option<Row> {
    let record = match values(line) {
        Ok(record) if record.len() == columns.len() => record,
        Ok(record) => {
            let (found, wanted) = (record.len(), columns.len());
            mistakes.add(number, None, Problem::Values { found, wanted });
            return None;
        }
        Err(problem) => {
            mistakes.add(number, None, problem);
            return None;
        }
    };
    let (mut terminal, mut utility, mut mode, mut customer) = (None, None, None, None);
    for (column, value) in columns.iter().zip(record.iter()) {
        let value = value.trim();
        let taken = match column {
            Column::Terminal => take(&mut terminal, parse_terminal(value)),
            Column::Utility => take(&mut utility, value.parse::<UtilityId>()),
            Column::Mode => take(&mut mode, mode_of(value)),
            Column::Customer => take(&mut customer, customer_of(value)),
        };
        if let Err(problem) = taken {
            mistakes.add(number, Some(*column), problem);
        }
    }
    Some(Row {
        line: number,
        terminal: terminal?,
        utility: utility?,
        mode: mode?,
        customer: if columns.contains(&Column::Customer) {
            Some(customer?)
        } else {
            None
        },
    })
}

fn take<T, E: Into<Problem>>(place: &mut Option<T>, value: Result<T, E>) -> Result<(), Problem> {
    *place = Some(value.map_err(Into::into)?);
    Ok(())
}

fn mode_of(value: &str) -> Result<u8, RowProblem> {
    match value {
        "0" => Ok(0),
        "1" => Ok(1),
        "2" => Ok(2),
        "3" => Ok(3),
        _ => Err(RowProblem::Mode),
    }
}

fn customer_of(value: &str) -> Result<String, RowProblem> {
    if value.is_empty() || is_customer(value) {
        Ok(value.to_owned())
    } else {
        Err(RowProblem::Customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTILITY: &str = "a1b2c3d4e5f60718";

    fn mistakes(text: &[u8]) -> Vec<String> {
        let mistakes = parse(text).unwrap_err();
        let show = |one: &Mistake| {
            let column = one.column.map_or("-", Column::name);
            format!("{} {column} {}", one.line, one.problem)
        };
        mistakes.named.iter().map(show).collect()
    }

    #[test]
    fn a_table_is_read_as_spreadsheets_write_it() {
        let text = format!(
            "\u{FEFF}mode,\"terminal\",utility,customer\r\n\r\n1,00070000499602d2,{UTILITY},\"C,1\"\
             \r\n 2 ,7:1234567891,{UTILITY},\r\n"
        );
        let rows = parse(text.as_bytes()).unwrap();
        let customers: Vec<_> = rows.iter().map(|row| row.customer.as_deref()).collect();
        assert_eq!(customers, [Some("C,1"), Some("")]);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.line, row.mode, row.terminal.to_string()))
            .collect();
        let expected = [
            (3, 1, "00070000499602d2".to_owned()),
            (4, 2, "00070000499602d3".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn without_a_column_of_customers_nothing_is_said_of_them() {
        let text = format!("terminal,utility,mode\n7:1,{UTILITY},1\n");
        assert_eq!(parse(text.as_bytes()).unwrap()[0].customer, None);
        assert_eq!(parse(b"terminal,utility,mode\n"), Ok(Vec::new()));
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_column() {
        let mut text = b"terminal,utility,mode,customer\n".to_vec();
        let long = "x".repeat(1_100);
        let lines = [
            format!("7:1,{UTILITY},1,"),
            "7,xyz,4,naïve".to_owned(),
            format!("7:2,{UTILITY},1"),
            "\"7:3,".to_owned(),
            long,
            format!("00070000 00000001,{UTILITY},1,"),
            format!("0007000000000001,{UTILITY},1,"),
        ];
        for line in lines {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"\xFF\xFE,,,\n");
        let found = mistakes(&text);
        let starts = [
            "3 terminal a terminal is 16",
            "3 utility a utility is 16",
            "3 mode a mode is",
            "3 customer a customer number",
            "4 - the line has 3 values",
            "5 - a quote",
            "6 - the line is longer",
            "7 terminal a terminal is 16",
            "8 terminal 0007000000000001 stands in line 2 already",
            "9 - the line is not UTF-8",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
    }

    #[test]
    fn a_carriage_return_within_a_line_hides_no_row() {
        for line in [
            format!("\"7:1\",{UTILITY},1\r7:2,{UTILITY},1\n"),
            format!("7:1,{UTILITY},1\r7:2,{UTILITY},1\n"),
        ] {
            let found = mistakes(format!("terminal,utility,mode\n{line}").as_bytes());
            assert!(found[0].starts_with("2 - a carriage return"), "{found:?}");
        }
        let all = format!("\"terminal\",utility,mode\r7:1,{UTILITY},1\r");
        assert!(mistakes(all.as_bytes())[0].starts_with("1 - a carriage return"));
    }

    #[test]
    fn a_table_without_its_columns_is_refused_at_its_first_line() {
        assert_eq!(mistakes(b"").len(), 1);
        assert!(mistakes(b"\n\n")[0].starts_with("1 - the first line"));
        let found = mistakes(b"terminal,utility,mode,terminal,name\n");
        assert_eq!(
            found,
            [
                "1 terminal the column stands there twice",
                "1 - there is no column \"name\": the columns are terminal,utility,mode,customer"
            ]
        );
        assert_eq!(
            mistakes(b"terminal,mode\nnonsense\n"),
            ["1 utility the column is missing"]
        );
    }

    #[test]
    fn no_more_than_a_thousand_mistakes_are_named_and_all_are_counted() {
        let text = "terminal,utility,mode\n".to_owned() + &"x\n".repeat(1_500);
        let mistakes = parse(text.as_bytes()).unwrap_err();
        assert_eq!((mistakes.named.len(), mistakes.total), (1_000, 1_500));
    }
}
