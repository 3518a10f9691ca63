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

/// What outlives a gate: which uplinks were answered, and until which second each must not be
/// answered anew. Of the answers themselves nothing is kept, so that a terminal that was answered
/// and rests costs some fifty octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answered {
    /// The second of each and the number that stands for its key, [`digest_of`]: those of the
    /// second that was sealed in last come first.
    keys: [Option<(u32, u32)>; REMEMBERED_MAX],
}

impl Answered {
    /// The last second in which one of them was answered.
    #[must_use]
    pub fn utc_s(&self) -> u32 {
        self.known().map(|(utc_s, _)| utc_s).max().unwrap_or(0)
    }

    fn known(self) -> impl Iterator<Item = (u32, u32)> + Clone {
        self.keys.into_iter().flatten()
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
        // What was sealed last comes first.
        let own = self.remembered.iter().rev();
        let own = own.map(|last| (last.utc_s, digest_of(last.key)));
        let known = || own.clone().chain(self.before());
        let (last_utc_s, _) = known().next()?;
        // Forgetting one of that second would let another answer be sealed in it; those of others,
        // later ones if the clock was set back, stay as long as there is room.
        let of_last = known().filter(|(utc_s, _)| *utc_s == last_utc_s);
        let of_others = known().filter(|(utc_s, _)| *utc_s != last_utc_s);
        let mut keys = [None; REMEMBERED_MAX];
        for (place, key) in keys.iter_mut().zip(of_last.chain(of_others)) {
            *place = Some(key);
        }
        Some(Answered { keys })
    }

    /// What the gates before this one answered.
    fn before(&self) -> impl Iterator<Item = (u32, u32)> + Clone {
        self.before.into_iter().flat_map(Answered::known)
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
        let digest = digest_of(key);
        let mut before = self.before();
        if before.any(|(utc_s, known)| known == digest && now_utc_s <= utc_s) {
            return Passage::Silent;
        }
        // Forgetting one of these would let a second answer to it be sealed in this second.
        let own = self.remembered.iter().map(|last| last.utc_s);
        let all = own.chain(self.before().map(|(utc_s, _)| utc_s));
        let of_now = all.filter(|utc_s| *utc_s == now_utc_s);
        let is_full = of_now.count() >= REMEMBERED_MAX;
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
    fn the_next_gate_knows_the_second_of_each_uplink_when_the_clock_went_back_between_them() {
        let (later, earlier) = (AnswerKey::Counter(7), AnswerKey::Counter(8));
        let mut gate = AnswerGate::new(99);
        gate.sealed(later, 5_000, b"later");
        gate.sealed(earlier, 100, b"earlier");
        let next = AnswerGate::new(99).after(gate.answered());
        for key in [later, earlier] {
            assert_eq!(next.ask(key, 100), Passage::Silent);
        }
        assert_eq!(next.ask(later, 5_000), Passage::Silent);
        assert_eq!(next.ask(earlier, 101), Passage::Seal);
        // What was sealed in the last second is never given up for what was sealed in others.
        let mut answered = next.answered();
        for counter in 9..12 {
            let key = AnswerKey::Counter(counter);
            let mut gate = AnswerGate::new(99).after(answered);
            assert_eq!(gate.ask(key, 100), Passage::Seal);
            gate.sealed(key, 100, b"further");
            answered = gate.answered();
        }
        let last = AnswerGate::new(99).after(answered);
        for counter in 8..13 {
            assert_eq!(last.ask(AnswerKey::Counter(counter), 100), Passage::Silent);
        }
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
