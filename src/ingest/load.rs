//! Whether there is room for new records: what the disk and the queue of the log say.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::live::Room;
use crate::session::otl::machine::Admission;
use crate::telemetry::DiskLevel;
use crate::wire::otl::answer::ComeBack;

/// Units of 4 s after which a terminal comes back from a server with too much to do: 1 to 11
/// minutes, spread evenly.
const BUSY_UNITS: (u16, u16) = (15, 150);
/// Units of 4 s after which it comes back to one whose disk fills up: 30 to 150 minutes.
const DISK_UNITS: (u16, u16) = (450, 1_800);

/// What is known of the load. Written by those who measure it, read for each frame.
#[derive(Debug, Default)]
pub struct Load {
    disk: AtomicU8,
    /// How full the queue of the log is, in percent.
    queue_percent: AtomicU32,
    stopping: AtomicU8,
}

/// From how full a queue on readings are told to come back, in percent.
const QUEUE_COME_BACK_PERCENT: u32 = 60;

impl Load {
    /// Notes how full the disk is.
    pub fn set_disk(&self, level: DiskLevel) {
        self.disk.store(level.number(), Ordering::Relaxed);
    }

    /// How full the disk is.
    #[must_use]
    pub fn disk(&self) -> DiskLevel {
        match self.disk.load(Ordering::Relaxed) {
            0 => DiskLevel::Plenty,
            1 => DiskLevel::ComeBack,
            2 => DiskLevel::AlarmsOnly,
            _ => DiskLevel::Full,
        }
    }

    /// Notes how full the queue of the log is, in percent.
    pub fn set_queue_percent(&self, percent: u32) {
        self.queue_percent.store(percent, Ordering::Relaxed);
    }

    /// Notes that the server takes nothing more, because it stops or cannot write.
    pub fn stop(&self) {
        self.stopping.store(1, Ordering::Relaxed);
    }

    /// Whether nothing is taken: the disk is full, or the server stops or cannot write.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) != 0 || self.disk() == DiskLevel::Full
    }

    /// Whether readings are taken that nobody can be told when to bring back.
    #[must_use]
    pub fn takes_readings(&self) -> bool {
        let is_busy = self.queue_percent.load(Ordering::Relaxed) >= QUEUE_COME_BACK_PERCENT;
        !self.takes_nothing() && self.disk() == DiskLevel::Plenty && !is_busy
    }

    /// Whether there is room. `random` spreads the times of coming back, and is not asked for where
    /// everybody is served; without one no answer can be sealed, whatever time it would tell.
    // spec: OVL-1, OVL-4, OVL-5
    #[must_use]
    pub fn admission(&self, room: Room, random: impl FnOnce() -> Option<u32>) -> Admission {
        if self.stopping.load(Ordering::Relaxed) != 0 {
            return Admission::Shed;
        }
        let is_busy = room == Room::Crowded
            || self.queue_percent.load(Ordering::Relaxed) >= QUEUE_COME_BACK_PERCENT;
        match self.disk() {
            DiskLevel::Full => Admission::Shed,
            DiskLevel::AlarmsOnly => come_back(DISK_UNITS, random(), Admission::AlarmsOnly),
            DiskLevel::ComeBack => come_back(DISK_UNITS, random(), Admission::ComeBack),
            DiskLevel::Plenty if is_busy => come_back(BUSY_UNITS, random(), Admission::ComeBack),
            DiskLevel::Plenty => Admission::Serve,
        }
    }
}

fn come_back(
    (least, spread): (u16, u16),
    random: Option<u32>,
    admission: fn(ComeBack) -> Admission,
) -> Admission {
    let part = random.and_then(|random| random.checked_rem(u32::from(spread)));
    let part = part.unwrap_or(0);
    let units = least.saturating_add(u16::try_from(part).unwrap_or(0));
    ComeBack::from_units(units).map_or(Admission::Shed, admission)
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: OVL-1, OVL-5
    #[test]
    fn a_filling_disk_sends_readings_away_at_spread_times_and_a_full_one_takes_nothing() {
        let load = Load::default();
        assert_eq!(load.admission(Room::Free, || Some(0)), Admission::Serve);
        load.set_disk(DiskLevel::ComeBack);
        let seconds = |random| match load.admission(Room::Free, || Some(random)) {
            Admission::ComeBack(time) => time.seconds(),
            Admission::AlarmsOnly(_) | Admission::Serve | Admission::Shed => 0,
        };
        assert_eq!((seconds(0), seconds(1_799)), (1_800, 8_996));
        load.set_disk(DiskLevel::AlarmsOnly);
        assert!(matches!(
            load.admission(Room::Free, || Some(7)),
            Admission::AlarmsOnly(_)
        ));
        assert!(!load.takes_nothing());
        load.set_disk(DiskLevel::Full);
        assert_eq!(load.admission(Room::Free, || Some(0)), Admission::Shed);
        assert!(load.takes_nothing());
    }

    #[test]
    fn a_long_queue_and_a_crowd_send_readings_away() {
        let load = Load::default();
        let sends_away = |room| matches!(load.admission(room, || Some(7)), Admission::ComeBack(_));
        assert!(sends_away(Room::Crowded));
        assert!(!sends_away(Room::Free));
        load.set_queue_percent(60);
        assert!(sends_away(Room::Free));
    }
}
