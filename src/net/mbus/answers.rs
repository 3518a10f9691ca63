//! The lines that are answered, in the order of those that came.

use std::collections::VecDeque;
use std::io::Write as _;

use tokio::sync::oneshot;

use super::contract::Answer;

/// Lines of a connection that may wait for their answer: enough that a gateway a hundred
/// milliseconds away is not slowed down, and few enough that a thousand of them are a few MiB.
pub(super) const WINDOW: usize = 128;

/// One line.
#[derive(Debug)]
enum Waiting {
    /// What becomes of its telegram is told later.
    Later(oneshot::Receiver<Answer>),
    /// Its answer is known, and waits for those before it.
    Now(Answer),
}

/// Lines that wait for their answer, the first first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<(u64, Waiting)>,
}

impl Answers {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WINDOW
    }

    pub(super) fn later(&mut self, number: u64, answer: oneshot::Receiver<Answer>) {
        self.waiting.push_back((number, Waiting::Later(answer)));
    }

    pub(super) fn now(&mut self, number: u64, answer: Answer) {
        self.waiting.push_back((number, Waiting::Now(answer)));
    }

    /// Waits until the first line has its answer. Nothing is lost where the wait is given up.
    pub(super) async fn first_is_known(&mut self) {
        let Some((_, first)) = self.waiting.front_mut() else {
            return std::future::pending().await;
        };
        if let Waiting::Later(answer) = first {
            // Whoever drops it did not make anything durable.
            let answer = answer.await.unwrap_or(Answer::Busy);
            *first = Waiting::Now(answer);
        }
    }

    /// Writes all answers that are known and wait for none before them.
    pub(super) fn write_known(&mut self, out: &mut Vec<u8>) {
        while let Some((_, first)) = self.waiting.front_mut() {
            if let Waiting::Later(answer) = first {
                match answer.try_recv() {
                    Ok(answer) => *first = Waiting::Now(answer),
                    Err(oneshot::error::TryRecvError::Closed) => {
                        *first = Waiting::Now(Answer::Busy);
                    }
                    Err(oneshot::error::TryRecvError::Empty) => return,
                }
            }
            if let Some((number, Waiting::Now(answer))) = self.waiting.pop_front() {
                write(out, number, &answer);
            }
        }
    }
}

/// Writes the answer to a line; 0 is that of none.
pub(super) fn write(out: &mut Vec<u8>, number: u64, answer: &Answer) {
    // A vector takes every octet.
    let _written = match answer {
        Answer::Durable { is_copy: false } => writeln!(out, "OK {number}"),
        Answer::Durable { is_copy: true } => writeln!(out, "OK {number} duplicate"),
        Answer::Part => writeln!(out, "PART {number}"),
        Answer::Busy => writeln!(out, "BUSY {number}"),
        Answer::Refused { id, text } => writeln!(out, "ERR {number} {id} {text}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_the_order_of_their_lines_and_each_in_its_form() {
        let mut answers = Answers::default();
        let (first, waits) = oneshot::channel();
        answers.later(1, waits);
        answers.now(2, Answer::Part);
        let text = "key 00h of this meter is not known".to_owned();
        answers.now(3, Answer::Refused { id: "no_key", text });
        let (gone, waits) = oneshot::channel();
        answers.later(4, waits);
        let mut out = Vec::new();
        answers.write_known(&mut out);
        assert_eq!(out, b"");
        first.send(Answer::Durable { is_copy: false }).unwrap();
        drop(gone);
        answers.now(5, Answer::Durable { is_copy: true });
        answers.write_known(&mut out);
        let expected = "OK 1\nPART 2\nERR 3 no_key key 00h of this meter is not known\nBUSY 4\n\
            OK 5 duplicate\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert!(answers.is_empty());
    }
}
