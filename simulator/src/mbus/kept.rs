//! The lines that a gateway keeps until they are answered.

use std::collections::VecDeque;

use tokio::time::Instant;

/// A line that is kept.
#[derive(Debug)]
pub(super) struct Line {
    /// The number of its telegram.
    pub(super) telegram: usize,
    /// What is written, with its end.
    pub(super) text: String,
    /// When it was first written.
    pub(super) since: Option<Instant>,
    /// Written a second time on purpose: nobody misses it.
    pub(super) is_double: bool,
    /// Held back on purpose before.
    pub(super) was_late: bool,
}

/// Lines that wait to be written, that are held back, and that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Kept {
    waiting: VecDeque<Line>,
    late: Vec<(Instant, Line)>,
    unanswered: VecDeque<(u64, Line)>,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All lines.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.late.len() + self.unanswered.len()
    }

    /// How many wait for their answers.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Keeps a telegram that was heard.
    pub(super) fn hear(&mut self, telegram: usize, text: String) {
        self.waiting.push_back(Line {
            telegram,
            text,
            since: None,
            is_double: false,
            was_late: false,
        });
    }

    /// The next line to be written.
    pub(super) fn next(&mut self, now: Instant) -> Option<Line> {
        let due = self.late.iter().position(|(at, _)| *at <= now);
        match due {
            Some(place) => Some(self.late.swap_remove(place).1),
            None => self.waiting.pop_front(),
        }
    }

    /// When a line that is held back may be written, or at once if others wait.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        if !self.waiting.is_empty() {
            return Some(now);
        }
        self.late.iter().map(|(at, _)| *at).min()
    }

    /// Holds a line back, while others overtake it.
    pub(super) fn hold_back(&mut self, mut line: Line, until: Instant) {
        line.was_late = true;
        self.late.push((until, line));
    }

    /// A line comes before all others again.
    pub(super) fn put_back(&mut self, line: Line) {
        self.waiting.push_front(line);
    }

    /// A line was written under a number.
    pub(super) fn written(&mut self, number: u64, line: Line) {
        self.unanswered.push_back((number, line));
    }

    /// Gives the line whose answer is the next one, with its number.
    pub(super) fn take_oldest(&mut self) -> Option<(u64, Line)> {
        self.unanswered.pop_front()
    }

    /// A line was to come later.
    pub(super) fn again_later(&mut self, line: Line) {
        if !line.is_double {
            self.waiting.push_back(line);
        }
    }

    /// A connection ended: whatever was not answered waits again, before all else and in its order.
    pub(super) fn take_back(&mut self) {
        while let Some((_, line)) = self.unanswered.pop_back() {
            if !line.is_double {
                self.waiting.push_front(line);
            }
        }
    }
}

impl Line {
    /// Notes that it is written; says whether it was before.
    pub(super) fn write(&mut self) -> bool {
        let is_again = self.since.is_some();
        self.since.get_or_insert_with(Instant::now);
        is_again
    }

    /// The same line once more.
    pub(super) fn double(&self) -> Self {
        Self {
            telegram: self.telegram,
            text: self.text.clone(),
            since: None,
            is_double: true,
            was_late: self.was_late,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn texts(kept: &mut Kept, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| kept.next(now).map(|line| line.text)).collect()
    }

    #[test]
    fn what_was_not_answered_is_written_again_in_its_order_and_doubles_are_not() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        for (telegram, text) in ["a", "b", "c"].into_iter().enumerate() {
            kept.hear(telegram, text.to_owned());
        }
        let first = kept.next(now).unwrap();
        let double = first.double();
        kept.written(1, first);
        kept.written(2, double);
        let second = kept.next(now).unwrap();
        kept.written(3, second);
        assert_eq!(kept.unanswered(), 3);
        kept.take_back();
        assert_eq!(texts(&mut kept, now), ["a", "b", "c"]);
        assert!(kept.is_empty());
    }

    #[test]
    fn a_line_that_is_held_back_lets_others_pass_and_is_kept() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        kept.hear(0, "a".to_owned());
        kept.hear(1, "b".to_owned());
        let until = now + Duration::from_millis(500);
        let first = kept.next(now).unwrap();
        kept.hold_back(first, until);
        assert_eq!(texts(&mut kept, now), ["b"]);
        assert_eq!((kept.len(), kept.next_at(now)), (1, Some(until)));
        assert_eq!(texts(&mut kept, until), ["a"]);
    }
}
