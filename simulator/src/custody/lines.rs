//! The files of a sink.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::{Checker, Custody, Ledger};
use crate::json::NamesError;

/// What a file's name holds that has outward records in it, whatever follows.
const NAME_PART: &str = ".ndjson";

/// Why a sink was not compared. None says anything about what is in it.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The directory or a file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The registries that this program carries cannot be read.
    #[error(transparent)]
    Names(#[from] NamesError),
}

/// What takes the lines of a sink.
pub(super) trait Reader {
    /// Takes one line, without its end.
    fn line(&mut self, octets: &[u8]);

    /// Takes note of a file that ended in the middle of a line.
    fn torn(&mut self);
}

impl Reader for Checker<'_> {
    fn line(&mut self, octets: &[u8]) {
        Checker::line(self, octets);
    }

    fn torn(&mut self) {
        Checker::torn(self);
    }
}

/// Compares all files under a directory whose names hold `.ndjson` with a ledger: those of each
/// lane in the order of the positions in their names. A last line without an end is counted as torn
/// and read no further.
///
/// # Errors
/// The directory or a file cannot be read, or the registries of names.
pub fn check_directory(ledger: &Ledger, directory: &Path) -> Result<Custody, CheckError> {
    Ok(check_directory_with(Checker::new(ledger)?, directory)?)
}

/// As [`check_directory`], with a checker that may have read other lines.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn check_directory_with(mut checker: Checker<'_>, directory: &Path) -> io::Result<Custody> {
    read_directory(&mut checker, directory)?;
    Ok(checker.finish())
}

/// Reads the files that [`check_directory`] reads, in its order.
///
/// # Errors
/// The directory or a file cannot be read.
pub(super) fn read_directory(reader: &mut impl Reader, directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort_by_cached_key(|file| (order_of(file), file.clone()));
    for file in files {
        read(reader, &file)?;
    }
    Ok(())
}

/// The lane and the first position of `<lane>-<time>-<first position>.ndjson`.
fn order_of(file: &Path) -> Option<(String, u64)> {
    let name = file.file_name()?.to_str()?;
    let (stem, _) = name.split_once(NAME_PART)?;
    let mut parts = stem.split('-');
    let lane = parts.next()?.to_owned();
    Some((lane, parts.nth(1)?.parse().ok()?))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.file_name().to_string_lossy().contains(NAME_PART) {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn read(reader: &mut impl Reader, file: &Path) -> io::Result<()> {
    let mut octets = BufReader::new(File::open(file)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if octets.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.strip_suffix(b"\n") {
            Some(line) => reader.line(line),
            None => reader.torn(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_folders_and_torn_ends_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bulk")).unwrap();
        fs::write(dir.path().join("bulk/a.ndjson"), "{}\n{\"id\"").unwrap();
        fs::write(dir.path().join("bulk/b.ndjson.part"), "{}\n").unwrap();
        fs::write(dir.path().join("cursor"), "{}\n").unwrap();
        let custody = check_directory(&Ledger::default(), dir.path()).unwrap();
        assert_eq!((custody.lines, custody.torn, custody.unreadable), (2, 1, 2));
    }

    #[test]
    fn files_are_read_by_position_whatever_the_clock_said() {
        let names = [
            "bulk-20261031T000000Z-900.ndjson",
            "bulk-20261031T000001Z-64.ndjson",
            "alarm-20270101T000000Z-5000.ndjson.part",
        ];
        let mut files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        files.sort_by_cached_key(|file| (order_of(file), file.clone()));
        assert_eq!(files, [names[2], names[1], names[0]].map(PathBuf::from));
    }
}
