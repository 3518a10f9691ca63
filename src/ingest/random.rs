//! Random numbers for server nonces.

/// Numbers that one draw gives: as many as an input of a machine ever uses.
const DRAWN: usize = 8;

/// Some random numbers, each given once, from the system's source, which is fit for keys. None is
/// drawn before it is asked for.
// spec: NON-7
#[derive(Debug)]
pub struct Randoms {
    drawn: [u32; DRAWN],
    used: usize,
}

impl Default for Randoms {
    fn default() -> Self {
        Self {
            drawn: [0; DRAWN],
            used: DRAWN,
        }
    }
}

impl Randoms {
    /// The next number; none if the system gives no more.
    pub fn draw_one(&mut self) -> Option<u32> {
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
    fn numbers_go_on_when_a_draw_is_used_up() {
        let mut randoms = Randoms::default();
        let given: std::collections::BTreeSet<u32> =
            (0..100).filter_map(|_| randoms.draw_one()).collect();
        assert!(given.len() > 90);
    }
}
