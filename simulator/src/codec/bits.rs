//! The bit stream that series and gauges share.

/// Writes bits, most significant first.
#[derive(Debug, Default)]
pub struct BitWriter {
    octets: Vec<u8>,
    open: u8,
    used: u32,
}

impl BitWriter {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One bit.
    pub fn bit(&mut self, one: bool) {
        self.open = (self.open << 1) | u8::from(one);
        self.used += 1;
        if self.used == 8 {
            self.octets.push(self.open);
            self.open = 0;
            self.used = 0;
        }
    }

    /// The low `count` bits of a number.
    pub fn bits(&mut self, value: u64, count: u32) {
        for shift in (0..count).rev() {
            self.bit((value >> shift) & 1 == 1);
        }
    }

    /// A step: 0, or 1 and a Rice code of the value less one.
    pub fn step(&mut self, value: u64, k: u32) {
        let Some(less) = value.checked_sub(1) else {
            self.bit(false);
            return;
        };
        self.bit(true);
        for _ in 0..(less >> k) {
            self.bit(true);
        }
        self.bit(false);
        self.bits(less, k);
    }

    /// Fills the last octet with zero bits.
    // spec: SER-4
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        while self.used != 0 {
            self.bit(false);
        }
        self.octets
    }
}

/// The smallest k that makes the stream of these steps shortest.
// spec: SER-3
#[must_use]
pub fn best_k(steps: &[u64]) -> u32 {
    let cost = |k: u32| -> u64 {
        let each = steps.iter().filter_map(|s| s.checked_sub(1));
        each.map(|less| (less >> k) + 1 + u64::from(k))
            .fold(0, u64::saturating_add)
    };
    let mut best = (cost(0), 0);
    for k in 1..32 {
        let c = cost(k);
        if c < best.0 {
            best = (c, k);
        }
    }
    best.1
}
