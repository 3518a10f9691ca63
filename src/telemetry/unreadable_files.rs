//! Which files of the log were lately told to be unreadable.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

const HOUR_MS: u64 = 3_600_000;

/// The files that a line told of, and when: no more than the log has segments.
#[derive(Debug, Default)]
pub struct UnreadableFiles(Mutex<HashMap<PathBuf, u64>>);

impl UnreadableFiles {
    /// Whether no line told of this file within an hour. `now_ms` is a clock that goes forward.
    #[must_use]
    pub fn is_news(&self, path: &Path, now_ms: u64) -> bool {
        let mut told = self.0.lock();
        told.retain(|_, told_ms| now_ms < told_ms.saturating_add(HOUR_MS));
        let is_news = !told.contains_key(path);
        if is_news {
            told.insert(path.to_owned(), now_ms);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_of_once_an_hour_and_each_apart() {
        let told = UnreadableFiles::default();
        let (one, other) = (Path::new("/log/1"), Path::new("/log/2"));
        assert!(told.is_news(one, 7));
        assert!(told.is_news(other, 8));
        assert!(!told.is_news(one, 6 + HOUR_MS));
        assert!(told.is_news(one, 7 + HOUR_MS));
        assert!(!told.is_news(other, 7 + HOUR_MS));
        assert!(!told.is_news(one, 8 + HOUR_MS));
    }
}
