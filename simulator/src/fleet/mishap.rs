//! What the link does to frames.

use crate::random::{Random as _, Seeded};

/// How often what happens, in each direction, until the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mishaps {
    /// Of a thousand frames, how many are lost; on TCP, how many break the connection on their way
    /// up.
    pub lost_per_mille: u16,
    /// Of a thousand frames, how many come twice.
    pub duplicated_per_mille: u16,
    /// Of a thousand frames, how many are late.
    pub delayed_per_mille: u16,
    /// The most that a late frame is late.
    pub delay_ms_max: u64,
}

impl Default for Mishaps {
    fn default() -> Self {
        Self {
            lost_per_mille: 15,
            duplicated_per_mille: 15,
            delayed_per_mille: 30,
            delay_ms_max: 800,
        }
    }
}

/// What becomes of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Lose,
    Twice,
    /// Milliseconds late.
    Late(u64),
}

impl Mishaps {
    pub(crate) fn draw(&self, random: &mut Seeded) -> Fate {
        let lost = u64::from(self.lost_per_mille);
        let twice = lost + u64::from(self.duplicated_per_mille);
        let late = twice + u64::from(self.delayed_per_mille);
        match random.up_to(999) {
            n if n < lost => Fate::Lose,
            n if n < twice => Fate::Twice,
            n if n < late => Fate::Late(1 + random.up_to(self.delay_ms_max)),
            _ => Fate::Deliver,
        }
    }
}
