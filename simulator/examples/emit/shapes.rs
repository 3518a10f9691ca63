//! Random records of every type, each legal.

use simulator::codec::gauges::Gauges;
use simulator::codec::record::{
    Alarm, AlarmNotice, CommandResult, Everyday, Health, MeterRef, MeterTable, Proof, Record,
    Register, Unit, ValveState,
};
use simulator::codec::report::Stamp;
use simulator::codec::series::{Break, MAX_REGISTER, Reason, Series};
use simulator::household::{Household, Profile};
use simulator::random::{Random, Seeded};

/// A stream of values.
pub struct Shapes(pub Seeded);

impl Shapes {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.up_to(n - 1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn small(&mut self, n: u8) -> u8 {
        u8::try_from(self.below(u64::from(n))).unwrap()
    }

    pub fn octets<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill(&mut out);
        out
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.octets())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.octets())
    }

    /// A number of any magnitude up to 48 bits.
    fn register_value(&mut self) -> u64 {
        let bits = self.below(49);
        (u64::from_be_bytes(self.octets()) & MAX_REGISTER) & ((1_u64 << bits) - 1).max(1)
    }

    pub fn stamp(&mut self) -> Stamp {
        if self.one_in(4) {
            return Stamp::Unset {
                uptime_s: self.u32(),
                boot: self.u16(),
            };
        }
        Stamp::Set {
            utc_s: self.u32(),
            uncertainty: self.small(128),
        }
    }

    fn meter(&mut self) -> MeterRef {
        MeterRef {
            slot: self.small(16),
            generation: self.small(16),
        }
    }

    fn unit(&mut self) -> Unit {
        let classes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15];
        Unit((classes[usize::from(self.small(13))] << 4) | self.small(16))
    }

    fn register(&mut self) -> Register {
        Register {
            unit: self.unit(),
            value: self.register_value(),
        }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.one_in(2) {
            Some(make(self))
        } else {
            None
        }
    }

    fn printable(&mut self, least: u8, most: u8) -> Vec<u8> {
        let count = least + self.small(most - least + 1);
        (0..count).map(|_| 0x20 + self.small(0x5F)).collect()
    }

    fn series(&mut self, count: u8) -> Option<Series> {
        let mut value = self.register_value() / 2;
        let scale = 1_u64 << self.below(34);
        let (gaps, events) = (self.below(4) + 1, self.below(30) + 3);
        let mut marks = Vec::new();
        let mut breaks = Vec::new();
        for mark in 1..=count {
            if self.one_in(events) {
                let reasons = [
                    Reason::Wrap,
                    Reason::Correction,
                    Reason::Reverse,
                    Reason::Clock,
                ];
                breaks.push(Break {
                    mark,
                    reason: reasons[usize::from(self.small(4))],
                });
                value = value.saturating_sub(self.below(scale) + 1);
            } else if !self.one_in(3) {
                value = (value + self.below(scale)).min(MAX_REGISTER);
            }
            let missing = gaps == 1 && self.one_in(5);
            marks.push(if missing { None } else { Some(value) });
        }
        Series::from_marks(&marks, &breaks)
    }

    fn gauges(&mut self, count: u8) -> Option<Gauges> {
        let base = self.below(65_534);
        let bits = self.below(17);
        let swing = 1 + self.below(1 << bits);
        let gaps = self.one_in(2);
        let mut marks = Vec::new();
        for _ in 0..count {
            let value = (base + self.below(swing)).min(65_533);
            let missing = gaps && self.one_in(4);
            marks.push(if missing {
                None
            } else {
                u16::try_from(value).ok()
            });
        }
        Gauges::new(marks)
    }

    fn health(&mut self) -> Health {
        let [battery, rsrp, snr, temperature] = self.octets();
        Health {
            battery,
            remaining: if self.one_in(4) { 255 } else { self.small(101) },
            rsrp,
            snr: i8::from_be_bytes([snr]),
            temperature: i8::from_be_bytes([temperature]),
            sends: self.small(16),
            reset: if self.one_in(4) { 15 } else { self.small(6) },
        }
    }

    fn everyday(&mut self) -> Everyday {
        if self.one_in(2) {
            let profiles = [
                Profile::Quiet,
                Profile::Busy,
                Profile::Vacant,
                Profile::Gaps,
                Profile::Corrected,
                Profile::Worst,
            ];
            let profile = profiles[usize::from(self.small(6))];
            let seed = u64::from(self.u32());
            return Household::new(seed, profile).day(self.u16());
        }
        let registers = self.maybe(|s| s.series(24)).flatten();
        let last = registers.as_ref().and_then(|s| s.at(24));
        Everyday {
            valve: self.small(10),
            meter: self.meter(),
            unit: self.unit(),
            day: self.u16(),
            daily: if last.is_some() {
                last
            } else {
                self.maybe(Self::register_value)
            },
            registers,
            pressures: self.maybe(|s| s.gauges(24)).flatten(),
            health: self.maybe(Self::health),
        }
    }

    pub fn alarm_notice(&mut self) -> Record {
        let count = 1 + self.small(6);
        let alarms = (0..count).map(|_| Alarm {
            alarm: self.octets::<1>()[0],
            state: 1 + self.small(3),
            code: self.octets(),
        });
        let alarms = alarms.collect();
        Record::AlarmNotice(AlarmNotice {
            stamp: self.stamp(),
            meter: self.meter(),
            snapshot: self.one_in(3),
            valve: self.small(10),
            flow_category: if self.one_in(2) {
                0
            } else {
                0x20 + self.small(0x5F)
            },
            register: self.maybe(Self::register),
            panel: self.printable(0, 8),
            alarms,
        })
    }

    fn proof(&mut self) -> Option<Proof> {
        self.maybe(|s| Proof {
            key_version: 1 + s.small(255),
            mac: s.octets(),
        })
    }

    /// A record of any type.
    pub fn record(&mut self) -> Record {
        match self.below(16) {
            0..=3 => Record::Everyday(self.everyday()),
            4 => self.alarm_notice(),
            5 => Record::ValveState(ValveState {
                stamp: self.stamp(),
                meter: self.meter(),
                valve: self.small(10),
                cause: 1 + self.small(4),
                command: self.u32(),
                proof: self.proof(),
            }),
            6 => Record::CommandResult(CommandResult {
                stamp: self.stamp(),
                command: self.u32(),
                kind: self.octets::<1>()[0],
                meter: self.meter(),
                valve: self.small(10),
                outcome: self.small(13),
                data: self.printable(0, 64),
                proof: self.proof(),
            }),
            7 => Record::MeterTable(MeterTable {
                stamp: self.stamp(),
                meter: self.meter(),
                medium: self.octets::<1>()[0],
                unit: self.unit(),
                digits: 1 + self.small(14),
                serial: self.printable(1, 16),
            }),
            8 => Record::RegisterReading {
                stamp: self.stamp(),
                meter: self.meter(),
                cause: 1 + self.small(6),
                register: self.register(),
            },
            _ => self.rare(),
        }
    }

    fn interval(&mut self) -> Record {
        let count = 1 + self.small(250);
        let (stamp, meter, unit) = (self.stamp(), self.meter(), self.unit());
        let step_min = u16::try_from(1 + self.below(1_440)).unwrap();
        if self.one_in(2)
            && let Some(series) = self.series(count)
        {
            return Record::IntervalSeries {
                stamp,
                meter,
                unit,
                step_min,
                series,
            };
        }
        match self.gauges(count) {
            Some(gauges) => Record::IntervalGauges {
                stamp,
                meter,
                unit,
                step_min,
                gauges,
            },
            None => self.alarm_notice(),
        }
    }

    fn rare(&mut self) -> Record {
        let stamp = self.stamp();
        match self.below(8) {
            0 | 1 => self.interval(),
            2 => Record::Health {
                stamp,
                health: self.health(),
                sends_total: self.u32(),
                uptime_s: self.u32(),
            },
            3 => Record::ResidualGas {
                stamp,
                meter: self.meter(),
                level: self.small(4),
                register: self.maybe(Self::register),
            },
            4 => {
                let old = MeterRef {
                    slot: self.small(16),
                    generation: self.small(15),
                };
                Record::MeterExchange {
                    stamp,
                    old,
                    new: MeterRef {
                        generation: old.generation + 1,
                        ..old
                    },
                    old_register: self.maybe(Self::register),
                    new_register: self.maybe(Self::register),
                }
            }
            5 => Record::ClockChange {
                before: self.stamp(),
                after: stamp,
                cause: 1 + self.small(3),
            },
            6 => Record::OpaquePayload {
                stamp,
                maker: self.u16(),
                payload_type: self.octets::<1>()[0],
                payload: self.printable(0, 200),
            },
            _ if self.one_in(2) => Record::Maker {
                number: 0x60 + self.small(16),
                body: self.printable(0, 90),
            },
            _ => Record::TerminalInfo {
                stamp,
                model: self.u16(),
                firmware: self.u32(),
                capabilities: self.u16() & 0x3F,
                zone: i8::try_from(self.small(105)).unwrap() - 48,
            },
        }
    }
}
