//! A sink in which records of two protocols meet.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;

use super::lines::{CheckError, Reader, read_directory};
use super::{Checker, Custody, Ledger};
use crate::mbus::{MbusChecker, MbusCustody, MbusLedger};

/// What the comparison of a whole sink found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllCustody {
    /// Of terminals.
    pub otl: Custody,
    /// Of M-Bus meters.
    pub mbus: MbusCustody,
    /// Lines of neither, which are unreadable, and files that are torn.
    pub others: Custody,
}

impl AllCustody {
    /// All of it together.
    #[must_use]
    pub fn total(&self) -> Custody {
        let both = self.otl.clone().with(&self.mbus.custody);
        both.with(&self.others)
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    protocol: Cow<'a, str>,
}

/// Hands each line to the checker of its protocol.
struct Router<'a> {
    otl: Checker<'a>,
    mbus: MbusChecker<'a>,
    others: Custody,
}

impl Reader for Router<'_> {
    fn line(&mut self, octets: &[u8]) {
        let line: Option<Line<'_>> = serde_json::from_slice(octets).ok();
        match line.as_ref().map(|line| line.protocol.as_ref()) {
            Some("otl/1") => self.otl.line(octets),
            Some("mbus") => self.mbus.line(octets),
            _ => {
                self.others.lines += 1;
                self.others.unreadable += 1;
                let number = self.others.unreadable;
                if self.others.problems.len() < super::NAMED_PROBLEMS {
                    let problem = format!("line of no protocol that is known, number {number}");
                    self.others.problems.push(problem);
                }
            }
        }
    }

    fn torn(&mut self) {
        self.others.torn += 1;
    }
}

/// Compares a sink as [`super::check_directory`] does, each line with the ledger of its protocol.
///
/// # Errors
/// The directory or a file cannot be read, or the registries of names.
pub fn check_all(
    otl: &Ledger,
    mbus: &MbusLedger,
    directory: &Path,
) -> Result<AllCustody, CheckError> {
    let mut router = Router {
        otl: Checker::new(otl)?,
        mbus: MbusChecker::new(mbus),
        others: Custody::default(),
    };
    read_directory(&mut router, directory)?;
    Ok(AllCustody {
        otl: router.otl.finish(),
        mbus: router.mbus.finish(),
        others: router.others,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mbus::MbusPlan;

    #[test]
    fn each_line_goes_to_the_checker_of_its_protocol_and_one_of_neither_is_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "{\"protocol\":\"otl/1\"}\n{\"protocol\":\"mbus\"}\n{\"protocol\":\"mbus\"}\n\
            {\"protocol\":\"dlms\"}\n{}\nno JSON\n{\"protocol\"";
        std::fs::write(dir.path().join("bulk-x-1.ndjson"), lines).unwrap();
        let meters = MbusLedger::new(MbusPlan {
            seed: 1,
            meters: 1,
            utility: *b"gasworks",
        });
        let all = check_all(&Ledger::default(), &meters, dir.path()).unwrap();
        let counts = |custody: &Custody| (custody.lines, custody.unreadable, custody.torn);
        assert_eq!(counts(&all.otl), (1, 1, 0));
        assert_eq!(counts(&all.mbus.custody), (2, 2, 0));
        assert_eq!(counts(&all.others), (3, 3, 1));
        assert_eq!(counts(&all.total()), (6, 6, 1));
        assert!(!all.total().is_clean());
    }
}
