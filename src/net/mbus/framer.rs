//! Lines out of a stream. Sans-IO.

use crate::wire::mbus::lines::LINE_MAX;

/// A line that is longer than any form has: the stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Overlong;

/// What came and is not taken yet: at most one read and one unfinished line.
#[derive(Debug, Default)]
pub(super) struct LineFramer {
    octets: Vec<u8>,
    /// How many of them were taken.
    taken: usize,
    /// How many of them hold no end of a line, as was looked.
    searched: usize,
}

impl LineFramer {
    /// Takes what arrived.
    pub(super) fn feed(&mut self, arrived: &[u8]) {
        self.octets.drain(..self.taken);
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
        self.octets.extend_from_slice(arrived);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    ///
    /// [`Overlong`], also where the line is not whole yet.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Overlong> {
        let from = self.taken.max(self.searched);
        let rest = self.octets.get(from..).unwrap_or_default();
        let Some(end) = rest.iter().position(|octet| *octet == b'\n') else {
            self.searched = self.octets.len();
            return if self.octets.len().saturating_sub(self.taken) > LINE_MAX {
                Err(Overlong)
            } else {
                Ok(None)
            };
        };
        let (begin, end) = (self.taken, from.saturating_add(end));
        if end.saturating_sub(begin) > LINE_MAX {
            return Err(Overlong);
        }
        self.taken = end.saturating_add(1);
        Ok(self.octets.get(begin..end))
    }

    /// Whether a line was begun and is not whole.
    pub(super) fn is_mid_line(&self) -> bool {
        self.octets.len() > self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_came_in() {
        let text = b"one\n\ntwo\r\nthree\nrest";
        for piece in 1..=text.len() {
            let mut framer = LineFramer::default();
            let mut lines = Vec::new();
            for part in text.chunks(piece) {
                framer.feed(part);
                while let Some(line) = framer.next().unwrap() {
                    lines.push(line.to_vec());
                }
            }
            let expected: [&[u8]; 4] = [b"one", b"", b"two\r", b"three"];
            assert_eq!(lines, expected, "pieces of {piece}");
            assert!(framer.is_mid_line());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_found_out_before_its_end_and_with_it() {
        let mut framer = LineFramer::default();
        framer.feed(&[b'0'; LINE_MAX]);
        assert_eq!(framer.next(), Ok(None));
        framer.feed(b"0");
        assert_eq!(framer.next(), Err(Overlong));
        let mut framer = LineFramer::default();
        framer.feed(&[b'0'; LINE_MAX]);
        framer.feed(b"\n");
        assert_eq!(framer.next().unwrap().unwrap().len(), LINE_MAX);
        framer.feed(&[b'0'; LINE_MAX + 1]);
        framer.feed(b"\n");
        assert_eq!(framer.next(), Err(Overlong));
    }
}
