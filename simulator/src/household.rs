//! Seeded days of a household: the same seed gives the same days.

use crate::codec::gauges::Gauges;
use crate::codec::record::{Everyday, Health, MeterRef, Unit};
use crate::codec::series::{Break, Reason, Series};
use crate::random::Seeded;

/// How gas is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One or two people.
    Quiet,
    /// A family, a bath every evening.
    Busy,
    /// Nobody lives there.
    Vacant,
    /// Marks are missing now and then.
    Gaps,
    /// The clock or the meter is corrected now and then.
    Corrected,
    /// Full flow in every hour.
    Worst,
}

/// One household and its meter.
#[derive(Debug, Clone)]
pub struct Household {
    random: Seeded,
    profile: Profile,
    meter: MeterRef,
    unit: Unit,
    register: u64,
    pressures: bool,
}

impl Household {
    /// A household by seed and profile, on meter slot 0.
    #[must_use]
    pub fn new(seed: u64, profile: Profile) -> Self {
        let mut random = Seeded::new(seed ^ 0x6B65_6E73_6869_6E00);
        let register = random.next_u64() % 4_000_000;
        Self {
            random,
            profile,
            meter: MeterRef {
                slot: 0,
                generation: 0,
            },
            unit: Unit::LITRE,
            register,
            pressures: true,
        }
    }

    /// The same with another meter and unit.
    #[must_use]
    pub fn at(mut self, meter: MeterRef, unit: Unit) -> Self {
        self.meter = meter;
        self.unit = unit;
        self
    }

    /// The same without a pressure sensor.
    #[must_use]
    pub fn without_pressures(mut self) -> Self {
        self.pressures = false;
        self
    }

    /// The register now.
    #[must_use]
    pub fn register(&self) -> u64 {
        self.register
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random.next_u64() % n.max(1)
    }

    /// Litres of one hour, times ten for a finer register.
    fn use_of(&mut self, hour: u8) -> u64 {
        let scale = if self.unit == Unit::DECILITRE { 10 } else { 1 };
        let litres = match (self.profile, hour) {
            (Profile::Vacant, _) => 0,
            (Profile::Worst, _) => 10_000,
            (Profile::Busy, 18..=22) => 100 + self.below(900),
            (Profile::Busy, 6..=9) => self.below(300),
            (_, 18..=22) => self.below(400),
            (_, 6..=8 | 12) => self.below(120),
            _ if self.below(8) == 0 => self.below(40),
            _ => 0,
        };
        let rest = if litres > 0 { self.below(scale) } else { 0 };
        litres * scale + rest
    }

    /// The next day; `day` counts days since 1970 in the terminal's zone.
    #[must_use]
    pub fn day(&mut self, day: u16) -> Everyday {
        let mut marks = Vec::with_capacity(24);
        let mut breaks = Vec::new();
        for mark in 1..=24_u8 {
            self.register += self.use_of(mark - 1);
            let missing = self.profile == Profile::Gaps && self.below(6) == 0;
            if self.profile == Profile::Corrected && self.below(20) == 0 {
                let stepped = self.below(2) == 0;
                if !stepped {
                    self.register = self.register.saturating_sub(5 + self.below(50));
                }
                let reason = if stepped {
                    Reason::Clock
                } else {
                    Reason::Correction
                };
                breaks.push(Break { mark, reason });
            }
            marks.push(if missing { None } else { Some(self.register) });
        }
        let registers = Series::from_marks(&marks, &breaks);
        let pressures = if self.pressures {
            self.pressures_of()
        } else {
            None
        };
        Everyday {
            valve: 1,
            meter: self.meter,
            unit: self.unit,
            day,
            daily: marks.last().copied().flatten(),
            registers,
            pressures,
            health: Some(self.health()),
        }
    }

    fn pressures_of(&mut self) -> Option<Gauges> {
        let mut marks = Vec::with_capacity(24);
        for mark in 0..24_u16 {
            let value = match self.profile {
                Profile::Worst => u16::from(mark % 2 == 0) * 65_533,
                _ => u16::try_from(275 + self.below(15)).unwrap_or(280),
            };
            let missing = self.profile == Profile::Gaps && self.below(6) == 0;
            marks.push(if missing { None } else { Some(value) });
        }
        Gauges::new(marks)
    }

    fn health(&mut self) -> Health {
        Health {
            battery: 180,
            remaining: 87,
            rsrp: u8::try_from(85 + self.below(30)).unwrap_or(255),
            snr: 7,
            temperature: 19,
            sends: 1,
            reset: 0,
        }
    }
}
