//! Random numbers for server nonces.

/// Numbers that one draw gives: as many as an input of a machine ever uses.
const DRAWN: usize = 8;

/// The system gave no random numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRandomness;

/// Some random numbers, each given once, from the system's source, which is fit for keys. None is
/// drawn before it is asked for.
// spec: NON-7
#[derive(Debug)]
pub struct Randoms {
    drawn: [u32; DRAWN],
    used: usize,
    failed: bool,
}

impl Default for Randoms {
    fn default() -> Self {
        Self {
            drawn: [0; DRAWN],
            used: DRAWN,
            failed: false,
        }
    }
}

impl Randoms {
    /// The next number. If the system gives no more, [`Self::failed`] is true from then on, and
    /// nothing made with these numbers may be used.
    pub fn draw_one(&mut self) -> u32 {
        if let Some(number) = self.drawn.get(self.used) {
            self.used = self.used.saturating_add(1);
            return *number;
        }
        match fresh() {
            Ok(drawn) => {
                let [first, ..] = drawn;
                self.drawn = drawn;
                self.used = 1;
                first
            }
            Err(NoRandomness) => {
                self.failed = true;
                0
            }
        }
    }

    /// Whether a number was given that is none.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.failed
    }
}

fn fresh() -> Result<[u32; DRAWN], NoRandomness> {
    let mut octets = [0; DRAWN * 4];
    getrandom::fill(&mut octets).map_err(|_| NoRandomness)?;
    let (quads, _) = octets.as_chunks::<4>();
    let mut drawn = [0; DRAWN];
    for (number, quad) in drawn.iter_mut().zip(quads) {
        *number = u32::from_be_bytes(*quad);
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_a_draw_is_used_up() {
        let mut randoms = Randoms::default();
        let given: std::collections::BTreeSet<u32> = (0..100).map(|_| randoms.draw_one()).collect();
        assert!(given.len() > 90);
        assert!(!randoms.failed());
    }
}
