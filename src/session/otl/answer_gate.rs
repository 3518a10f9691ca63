//! One sealed answer a second for one uplink: the rule that keeps server nonces apart.
//!
//! The nonce of an answer is the server nonce and the frame counter that it answers. The gate sees
//! to it that no two different answers leave under the same seconds, counter and key, whatever the
//! clock does; across restarts, where it forgets, the 32 random bits and the silence of the first
//! second do.

use crate::wire::otl::limits::FRAME_MAX;

/// What an answer replies to, within one terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerKey {
    /// The frame counter of an UPLINK.
    Counter(u32),
    /// The nonce of a RESYNC.
    Resync([u8; 16]),
}

/// What may be sent now.
#[derive(Debug, Eq, PartialEq)]
pub enum Passage<'a> {
    /// A new answer may be sealed in this second.
    Seal,
    /// The stored octets are to be sent again, unchanged.
    Repeat(&'a [u8]),
    /// Nothing is to be sent.
    Silent,
}

/// Answers that a gate remembers: as many uplinks of one terminal are answered in one second at
/// most.
const REMEMBERED_MAX: usize = 4;

/// What outlives a gate: which uplinks were answered, and until which second they must not be
/// answered anew. Of the answers themselves nothing is kept, so that a terminal that was answered
/// and rests costs some forty octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answered {
    utc_s: u32,
    /// Numbers that stand for the keys: [`digest_of`].
    keys: [Option<u32>; REMEMBERED_MAX],
}

impl Answered {
    /// The last second in which one of them was answered.
    #[must_use]
    pub const fn utc_s(&self) -> u32 {
        self.utc_s
    }

    fn has(&self, key: AnswerKey) -> bool {
        self.keys.contains(&Some(digest_of(key)))
    }

    fn count(&self) -> usize {
        self.keys.iter().flatten().count()
    }
}

/// A number for a key. Two keys with one number cost the later of them an answer in that second.
const fn digest_of(key: AnswerKey) -> u32 {
    match key {
        AnswerKey::Counter(counter) => counter,
        AnswerKey::Resync([a, b, c, d, ..]) => u32::from_be_bytes([a, b, c, d]),
    }
}

#[derive(Clone, Debug)]
struct Remembered {
    key: AnswerKey,
    utc_s: u32,
    frame: Vec<u8>,
}

/// The gate of one terminal. It holds at most four frames of 1,200 octets.
#[derive(Clone, Debug)]
pub struct AnswerGate {
    opened_utc_s: u32,
    before: Option<Answered>,
    remembered: Vec<Remembered>,
}

impl AnswerGate {
    /// A gate of a process that began at this second, in which it stays silent: the process
    /// before it may have sealed in it.
    // spec: NON-8
    #[must_use]
    pub const fn new(started_utc_s: u32) -> Self {
        Self {
            opened_utc_s: started_utc_s,
            before: None,
            remembered: Vec::new(),
        }
    }

    /// This gate, knowing what the one before it left behind.
    #[must_use]
    pub const fn after(mut self, before: Option<Answered>) -> Self {
        self.before = before;
        self
    }

    /// What the next gate of this process has to know.
    #[must_use]
    pub fn answered(&self) -> Option<Answered> {
        let own = self.remembered.iter();
        let own = own.map(|last| (last.utc_s, digest_of(last.key)));
        let older = self.before.iter().flat_map(|before| {
            let keys = before.keys.iter().flatten();
            keys.map(|key| (before.utc_s, *key))
        });
        let known = || own.clone().chain(older.clone());
        let utc_s = known().map(|(utc_s, _)| utc_s).max()?;
        // What was answered in an earlier second may be answered anew in the next one.
        let of_last = known().filter(|(of, _)| *of == utc_s);
        let mut keys = [None; REMEMBERED_MAX];
        for (place, (_, key)) in keys.iter_mut().zip(of_last) {
            *place = Some(key);
        }
        Some(Answered { utc_s, keys })
    }

    /// Asks what may be sent in answer to `key` at `now_utc_s`.
    ///
    /// A clock that went back repeats the last answer until it has caught up, if it is asked for
    /// the same uplink; the random bits keep other uplinks' answers apart.
    // spec: NON-8, NON-9
    #[must_use]
    pub fn ask(&self, key: AnswerKey, now_utc_s: u32) -> Passage<'_> {
        if let Some(last) = self.remembered.iter().find(|last| last.key == key)
            && now_utc_s <= last.utc_s
        {
            return Passage::Repeat(&last.frame);
        }
        let before = self.before.filter(|before| now_utc_s <= before.utc_s);
        if before.is_some_and(|before| before.has(key)) {
            return Passage::Silent;
        }
        // Forgetting one of these would let a second answer to it be sealed in this second.
        let of_now = self
            .remembered
            .iter()
            .filter(|last| last.utc_s == now_utc_s);
        let of_before = before.filter(|before| before.utc_s == now_utc_s);
        let of_before = of_before.map_or(0, |before| before.count());
        let is_full = of_now.count().saturating_add(of_before) >= REMEMBERED_MAX;
        if is_full || now_utc_s == self.opened_utc_s {
            Passage::Silent
        } else {
            Passage::Seal
        }
    }

    /// Notes what was sealed, before it is sent.
    // spec: NON-9
    pub fn sealed(&mut self, key: AnswerKey, now_utc_s: u32, frame: &[u8]) {
        let frame = frame.get(..FRAME_MAX).unwrap_or(frame).to_vec();
        self.remembered.retain(|last| last.key != key);
        if self.remembered.len() >= REMEMBERED_MAX {
            let other_second = |last: &Remembered| last.utc_s != now_utc_s;
            if let Some(at) = self.remembered.iter().position(other_second) {
                self.remembered.remove(at);
            }
        }
        self.remembered.push(Remembered {
            key,
            utc_s: now_utc_s,
            frame,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: AnswerKey = AnswerKey::Counter(7);

    // spec: NON-8, NON-9
    #[test]
    fn within_a_second_and_on_a_clock_gone_back_the_same_octets_leave_again() {
        let mut gate = AnswerGate::new(99);
        assert_eq!(gate.ask(KEY, 100), Passage::Seal);
        gate.sealed(KEY, 100, b"first");
        assert_eq!(gate.ask(KEY, 100), Passage::Repeat(b"first"));
        assert_eq!(gate.ask(KEY, 40), Passage::Repeat(b"first"));
        assert_eq!(gate.ask(KEY, 101), Passage::Seal);
    }

    // spec: NON-8
    #[test]
    fn uplinks_that_take_turns_within_a_second_get_one_answer_each() {
        let mut gate = AnswerGate::new(99);
        for counter in 7..11 {
            let key = AnswerKey::Counter(counter);
            assert_eq!(gate.ask(key, 100), Passage::Seal);
            gate.sealed(key, 100, &counter.to_be_bytes()[3..]);
        }
        assert_eq!(gate.ask(KEY, 100), Passage::Repeat(&[7]));
        assert_eq!(gate.ask(AnswerKey::Counter(11), 100), Passage::Silent);
        assert_eq!(gate.ask(AnswerKey::Counter(11), 101), Passage::Seal);
        gate.sealed(AnswerKey::Counter(11), 101, b"next");
        assert_eq!(gate.remembered.len(), REMEMBERED_MAX);
    }

    // spec: NON-8
    #[test]
    fn a_clock_that_goes_back_silences_no_new_uplink() {
        let mut gate = AnswerGate::new(99);
        for counter in 7..11 {
            gate.sealed(AnswerKey::Counter(counter), 5_000, b"before");
        }
        for counter in 11..30 {
            let key = AnswerKey::Counter(counter);
            assert_eq!(gate.ask(key, 100 + counter), Passage::Seal);
            gate.sealed(key, 100 + counter, b"after");
        }
        assert_eq!(gate.remembered.len(), REMEMBERED_MAX);
    }

    // spec: NON-8
    #[test]
    fn another_uplink_is_answered_in_the_same_second() {
        let mut gate = AnswerGate::new(99);
        gate.sealed(KEY, 100, b"first");
        assert_eq!(gate.ask(AnswerKey::Counter(8), 100), Passage::Seal);
        assert_eq!(gate.ask(AnswerKey::Resync([1; 16]), 100), Passage::Seal);
    }

    // spec: NON-8
    #[test]
    fn the_next_gate_answers_an_uplink_anew_in_a_later_second_only() {
        let mut gate = AnswerGate::new(99);
        gate.sealed(AnswerKey::Counter(6), 99, b"earlier");
        gate.sealed(KEY, 100, b"first");
        let next = AnswerGate::new(99).after(gate.answered());
        assert_eq!(next.ask(KEY, 100), Passage::Silent);
        assert_eq!(next.ask(KEY, 99), Passage::Silent);
        assert_eq!(next.ask(AnswerKey::Counter(8), 100), Passage::Seal);
        assert_eq!(next.ask(KEY, 101), Passage::Seal);
        assert_eq!(AnswerGate::new(99).answered(), None);
    }

    // spec: NON-8
    #[test]
    fn gates_that_follow_each_other_answer_no_more_uplinks_in_a_second_than_one_does() {
        let mut answered = None;
        for second in [100, 101] {
            for counter in 7..13 {
                let mut gate = AnswerGate::new(99).after(answered);
                let key = AnswerKey::Counter(counter + second);
                let passes = gate.ask(key, second) == Passage::Seal;
                assert_eq!(passes, counter < 11, "{counter}");
                if passes {
                    gate.sealed(key, second, b"answer");
                }
                answered = gate.answered();
            }
        }
    }

    // spec: NON-8
    #[test]
    fn a_process_is_silent_in_the_second_of_its_start() {
        let gate = AnswerGate::new(100);
        assert_eq!(gate.ask(KEY, 100), Passage::Silent);
        assert_eq!(gate.ask(KEY, 101), Passage::Seal);
    }
}
