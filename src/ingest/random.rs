//! Random numbers for server nonces.
//!
//! They come from the system's source, which is fit for keys. A system call a frame would be a
//! fiftieth of its cost, so each thread draws many at once and gives each of them once. That they
//! wait in memory harms nothing: a nonce travels in clear.

use std::cell::RefCell;

/// Numbers that one draw gives.
const DRAWN: usize = 64;

thread_local! {
    static POOL: RefCell<Randoms> = const { RefCell::new(Randoms::EMPTY) };
}

/// The next number of this thread, given once; none if the system gives no more.
// spec: NON-7
pub fn draw_one() -> Option<u32> {
    POOL.with_borrow_mut(Randoms::draw_one)
}

#[derive(Debug)]
struct Randoms {
    drawn: [u32; DRAWN],
    used: usize,
}

impl Randoms {
    const EMPTY: Self = Self {
        drawn: [0; DRAWN],
        used: DRAWN,
    };

    fn draw_one(&mut self) -> Option<u32> {
        if self.used >= DRAWN {
            self.drawn = fresh()?;
            self.used = 0;
        }
        let number = self.drawn.get(self.used).copied();
        self.used = self.used.saturating_add(1);
        number
    }
}

fn fresh() -> Option<[u32; DRAWN]> {
    let mut octets = [0; DRAWN * 4];
    getrandom::fill(&mut octets).ok()?;
    let (quads, _) = octets.as_chunks::<4>();
    let mut drawn = [0; DRAWN];
    for (number, quad) in drawn.iter_mut().zip(quads) {
        *number = u32::from_be_bytes(*quad);
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_a_draw_is_used_up_and_differ_between_threads() {
        let draw = || -> Vec<u32> { (0..200).filter_map(|_| draw_one()).collect() };
        let here = draw();
        let there = std::thread::spawn(draw).join().unwrap();
        let all: std::collections::BTreeSet<u32> = here.into_iter().chain(there).collect();
        assert!(all.len() > 390);
    }
}
