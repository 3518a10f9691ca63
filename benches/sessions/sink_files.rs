//! How far a sink of files has come.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The lengths of the files of a sink at one moment, by what of their names stays.
#[derive(Default, Eq, PartialEq)]
pub(crate) struct Lengths(HashMap<String, u64>);

fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        // A file that grows loses this when it is ended.
        let name = name.strip_suffix(".part").unwrap_or(&name).to_owned();
        Some((name, entry.path()))
    });
    named.collect()
}

impl Lengths {
    pub(crate) fn now(folder: &Path) -> Self {
        let lengths = files(folder).into_iter();
        let lengths = lengths.filter_map(|(name, path)| Some((name, path.metadata().ok()?.len())));
        Self(lengths.collect())
    }

    pub(crate) fn octets(&self) -> u64 {
        self.0.values().sum()
    }

    /// The lines of the files up to these lengths.
    pub(crate) fn lines(&self, folder: &Path) -> u64 {
        let mut lines = 0;
        let mut room = vec![0; 1 << 20];
        for (name, path) in files(folder) {
            let length = self.0.get(&name).copied().unwrap_or(0);
            let mut part = File::open(path).unwrap().take(length);
            loop {
                let count = part.read(&mut room).unwrap();
                if count == 0 {
                    break;
                }
                let ends = room[..count].iter().filter(|octet| **octet == b'\n');
                lines += ends.count() as u64;
            }
        }
        lines
    }
}
