//! `kenshin terminal import`: a table of terminals, in parts that fit a request.
//!
//! All parts are judged before the first is done, so that a table with mistakes changes nothing.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::super::operator::{Link, OperatorError, show_answer, show_error};
use super::ImportArgs;
use crate::admin::{Answer, Ask, Trouble};
use crate::registry::csv::{self, Mistakes, TABLE_MAX_OCTETS};
use crate::registry::{
    Command, ImportCounts, ROWS_NAMED_MAX, ROWS_PER_IMPORT, Reply, Row, RowRefusal,
};
use crate::time::{Clock, SystemClock};

/// How often a long import tells how far it is, in milliseconds.
const TELL_EVERY_MS: u64 = 2_000;

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {cause}", path.display())]
struct ReadError {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// Imports a table.
pub(super) fn run(args: &ImportArgs) -> ExitCode {
    let octets = match read(&args.file) {
        Ok(octets) => octets,
        Err(error) => {
            let trouble = Trouble::new("unavailable", error.to_string());
            return show_error(&args.place, &trouble.into());
        }
    };
    let rows = match csv::parse(&octets) {
        Ok(rows) => rows,
        Err(mistakes) => return show_error(&args.place, &trouble_of(&mistakes).into()),
    };
    drop(octets);
    match import(args, &rows) {
        Ok(counts) => {
            let dry_run = args.dry_run;
            let reply = Reply::Imported { dry_run, counts };
            show_answer(&args.place, &Answer::Registry(reply), text)
        }
        Err(error) => show_error(&args.place, &error),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let failed = |cause| ReadError {
        path: path.to_owned(),
        cause,
    };
    // One octet more than a table may have, so that too long a one is told.
    let most = u64::try_from(TABLE_MAX_OCTETS).unwrap_or(u64::MAX);
    let most = most.saturating_add(1);
    let mut octets = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut octets))
    };
    read.map_err(failed)?;
    Ok(octets)
}

fn trouble_of(mistakes: &Mistakes) -> Trouble {
    let rows = mistakes.named.iter().map(|mistake| RowRefusal {
        line: mistake.line,
        column: mistake.column.map(|column| column.name().to_owned()),
        message: mistake.problem.to_string(),
    });
    refused(rows.collect(), mistakes.total)
}

fn refused(rows: Vec<RowRefusal>, total: u64) -> Trouble {
    let what = if total == 1 {
        "one mistake".to_owned()
    } else {
        format!("{total} mistakes")
    };
    let mut trouble = Trouble::new("rows", format!("{what}; nothing was imported"));
    trouble.rows = rows;
    trouble.rows_total = Some(total);
    trouble
}

fn import(args: &ImportArgs, rows: &[Row]) -> Result<ImportCounts, OperatorError> {
    let mut link = Link::open(&args.place, args.dry_run)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut progress = Progress::new(&clock, rows.len(), !args.place.json);
    let would_be = judge(&mut link, args, rows, &mut progress)?;
    if args.dry_run {
        link.close()?;
        return Ok(would_be);
    }
    let mut done = ImportCounts::default();
    for part in rows.chunks(ROWS_PER_IMPORT) {
        match import_part(&mut link, args, part, false) {
            Ok(counts) => {
                done = done.plus(counts);
                progress.show("imported", part.len());
            }
            Err(OperatorError::Trouble(mut trouble)) => {
                trouble.message = broken_off(done, &trouble.message);
                if done.added > 0 || done.changed > 0 {
                    "unavailable".clone_into(&mut trouble.kind);
                }
                return Err(trouble.into());
            }
            Err(error) => {
                let message = broken_off(done, &error.to_string());
                return Err(Trouble::new("unavailable", message).into());
            }
        }
    }
    link.close()?;
    Ok(done)
}

/// Asks what all parts would do, and collects what is wrong with them.
fn judge(
    link: &mut Link,
    args: &ImportArgs,
    rows: &[Row],
    progress: &mut Progress,
) -> Result<ImportCounts, OperatorError> {
    let mut would_be = ImportCounts::default();
    let (mut named, mut total) = (Vec::new(), 0_u64);
    for part in rows.chunks(ROWS_PER_IMPORT) {
        match import_part(link, args, part, true) {
            Ok(counts) => would_be = would_be.plus(counts),
            Err(OperatorError::Trouble(trouble)) if trouble.kind == "rows" => {
                total = total.saturating_add(trouble.rows_total.unwrap_or(0));
                let room = ROWS_NAMED_MAX.saturating_sub(named.len());
                named.extend(trouble.rows.into_iter().take(room));
            }
            Err(error) => return Err(error),
        }
        progress.show("judged", part.len());
    }
    progress.begin();
    if total == 0 {
        Ok(would_be)
    } else {
        Err(refused(named, total).into())
    }
}

fn import_part(
    link: &mut Link,
    args: &ImportArgs,
    part: &[Row],
    dry_run: bool,
) -> Result<ImportCounts, OperatorError> {
    let command = Command::TerminalImport {
        rows: part.to_vec(),
        dry_run,
        move_utility: args.move_utility,
    };
    match link.ask(Ask::Registry(command))? {
        Answer::Registry(Reply::Imported { counts, .. }) => Ok(counts),
        _ => Err(OperatorError::OtherAnswer),
    }
}

/// Tells how far a long import is, on standard error.
struct Progress {
    clock: Arc<dyn Clock>,
    is_wanted: bool,
    next_ms: u64,
    done: usize,
    rows: usize,
}

impl Progress {
    fn new(clock: &Arc<dyn Clock>, rows: usize, is_wanted: bool) -> Self {
        Self {
            is_wanted,
            next_ms: clock.monotonic_ms().saturating_add(TELL_EVERY_MS),
            done: 0,
            rows,
            clock: Arc::clone(clock),
        }
    }

    /// A new pass through the rows begins.
    const fn begin(&mut self) {
        self.done = 0;
    }

    fn show(&mut self, what: &str, rows: usize) {
        if let Some(line) = self.line(what, rows) {
            // An import does not end because nobody sees how far it is.
            writeln!(io::stderr(), "{line}").ok();
        }
    }

    /// A line, if the last one or the start is some time ago, and it is not all done.
    fn line(&mut self, what: &str, rows: usize) -> Option<String> {
        self.done = self.done.saturating_add(rows);
        let now_ms = self.clock.monotonic_ms();
        if !self.is_wanted || self.done >= self.rows || now_ms < self.next_ms {
            return None;
        }
        self.next_ms = now_ms.saturating_add(TELL_EVERY_MS);
        Some(format!("{what} {} of {} rows", self.done, self.rows))
    }
}

fn broken_off(done: ImportCounts, why: &str) -> String {
    let ImportCounts { added, changed, .. } = done;
    format!(
        "the import was broken off after parts that added {added} terminals and changed {changed}, \
         durably; import the same table again to go on: {why}"
    )
}

fn text(answer: &Answer) -> Option<String> {
    let Answer::Registry(Reply::Imported { dry_run, counts }) = answer else {
        return None;
    };
    let ImportCounts {
        added,
        changed,
        unchanged,
    } = counts;
    let would = if *dry_run { "would be " } else { "" };
    Some(format!(
        "{would}added {added}, {would}changed {changed}, unchanged {unchanged}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{TestClock, UtcSeconds};

    #[test]
    fn only_a_long_import_tells_how_far_it_is_and_seldom() {
        let test_clock = Arc::new(TestClock::new(UtcSeconds::new(1)));
        let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(&test_clock);
        let mut progress = Progress::new(&clock, 50_000, true);
        assert_eq!(progress.line("judged", 10_000), None);
        test_clock.advance_s(2);
        let line = progress.line("judged", 10_000);
        assert_eq!(line.as_deref(), Some("judged 20000 of 50000 rows"));
        assert_eq!(progress.line("judged", 10_000), None);
        test_clock.advance_s(2);
        progress.begin();
        let line = progress.line("imported", 10_000);
        assert_eq!(line.as_deref(), Some("imported 10000 of 50000 rows"));
        test_clock.advance_s(2);
        assert_eq!(progress.line("imported", 40_000), None, "the counts follow");
        let mut silent = Progress::new(&clock, 50_000, false);
        test_clock.advance_s(9);
        assert_eq!(silent.line("judged", 10_000), None);
    }
}
