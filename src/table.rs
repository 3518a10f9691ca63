//! What all tables that operators hand over have in common: their lines, and the list of what is
//! wrong with them.

/// Octets of a line at most.
pub const LINE_MAX_OCTETS: usize = 1_024;
/// Mistakes that are named at most; the rest are counted.
pub const MISTAKES_NAMED_MAX: usize = 1_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of a table that hold something, each with its number from 1 and without its end, as
/// spreadsheets write them: with a byte order mark or without, with ends of lines of either kind.
pub fn lines(octets: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let octets = octets.strip_prefix(BYTE_ORDER_MARK).unwrap_or(octets);
    (1_u32..)
        .zip(octets.split(|octet| *octet == b'\n'))
        .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// A mistake of a table with columns `C` and problems `P`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake<C, P> {
    /// The line of the table, counted from 1.
    pub line: u32,
    /// The column; none for the whole line.
    pub column: Option<C>,
    /// What is wrong.
    pub problem: P,
}

/// The mistakes of a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistakes<C, P> {
    /// The first ones, at most [`MISTAKES_NAMED_MAX`].
    pub named: Vec<Mistake<C, P>>,
    /// How many there are.
    pub total: u64,
}

impl<C, P> Default for Mistakes<C, P> {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            total: 0,
        }
    }
}

impl<C, P> Mistakes<C, P> {
    /// Adds one.
    pub fn add(&mut self, line: u32, column: Option<C>, problem: P) {
        self.total = self.total.saturating_add(1);
        if self.named.len() < MISTAKES_NAMED_MAX {
            self.named.push(Mistake {
                line,
                column,
                problem,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_as_a_person_counts_them() {
        let text = b"\xEF\xBB\xBFa,b\r\n\n \r\nc\n";
        let all: Vec<_> = lines(text).collect();
        assert_eq!(all, [(1, b"a,b".as_slice()), (4, b"c")]);
    }

    #[test]
    fn mistakes_beyond_the_first_thousand_are_counted() {
        let mut mistakes = Mistakes::<(), ()>::default();
        (0..1_500).for_each(|line| mistakes.add(line, None, ()));
        assert_eq!((mistakes.named.len(), mistakes.total), (1_000, 1_500));
    }
}
