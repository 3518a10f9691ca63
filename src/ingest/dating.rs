//! When a record was measured, in UTC.
//!
//! A terminal whose clock is not set knows only how long it has been running. Its report, made in
//! the same boot and received at a known time, dates such a record.

use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::otl::stamp::Stamp;

/// The zone of days where a terminal's own is not known: nine hours ahead of UTC.
const ZONE_S: u32 = 32_400;
const DAY_S: u32 = 86_400;

/// An instant with its uncertainty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dated {
    /// UTC seconds.
    pub utc_s: u32,
    /// How far it may be off, in seconds; none if that is not known.
    pub uncertainty_s: Option<u16>,
    /// The server dated it, since the terminal's clock was not set.
    // spec: REC-4
    pub by_server: bool,
}

/// What a frame tells about its stamps: the report's own, and when it was received.
#[derive(Clone, Copy, Debug)]
pub struct FrameTime {
    /// The terminal's now.
    pub report: Stamp,
    /// The server's now, UTC seconds.
    pub received_utc_s: u32,
}

/// Dates a stamp; none if it is of another boot than the report, so that nothing relates the two.
// spec: REC-4
#[must_use]
pub fn date(stamp: Stamp, frame: &FrameTime) -> Option<Dated> {
    match (stamp, frame.report) {
        (Stamp::Set { uncertainty, utc_s }, _) => Some(Dated {
            utc_s,
            uncertainty_s: uncertainty.seconds(),
            by_server: false,
        }),
        (
            Stamp::Unset { uptime_s, boot },
            Stamp::Unset {
                uptime_s: now_s,
                boot: now_boot,
            },
        ) if boot == now_boot => Some(Dated {
            utc_s: frame
                .received_utc_s
                .saturating_sub(now_s.saturating_sub(uptime_s)),
            uncertainty_s: None,
            by_server: true,
        }),
        (Stamp::Unset { .. }, _) => None,
    }
}

/// The end of a day of everyday records, in a zone nine hours ahead of UTC.
#[must_use]
pub fn end_of_day(day: u16) -> Dated {
    let end = u32::from(day).saturating_add(1).saturating_mul(DAY_S);
    Dated {
        utc_s: end.saturating_sub(ZONE_S),
        uncertainty_s: None,
        by_server: false,
    }
}

/// When a record was measured; none if it carries no time, or one that nothing relates to UTC.
#[must_use]
pub fn measured(record: &Record, frame: &FrameTime) -> Option<Dated> {
    if let RecordBody::Everyday(everyday) = &record.body {
        return Some(end_of_day(everyday.parts().day));
    }
    date(stamp_of(&record.body)?, frame)
}

fn stamp_of(body: &RecordBody) -> Option<Stamp> {
    match body {
        RecordBody::Everyday(_) | RecordBody::Opaque(_) => None,
        RecordBody::RegisterReading(record) => Some(record.stamp),
        RecordBody::IntervalSeries(record) => Some(record.stamp),
        RecordBody::IntervalGauges(record) => Some(record.stamp),
        RecordBody::AlarmNotice(record) => Some(record.stamp),
        RecordBody::ValveState(record) => Some(record.stamp),
        RecordBody::Health(record) => Some(record.stamp),
        RecordBody::ResidualGas(record) => Some(record.stamp),
        RecordBody::MeterExchange(record) => Some(record.stamp()),
        RecordBody::MeterTable(record) => Some(record.stamp),
        RecordBody::CommandResult(record) => Some(record.stamp),
        RecordBody::ClockChange(record) => Some(record.after),
        RecordBody::OpaquePayload(record) => Some(record.stamp),
        RecordBody::TerminalInfo(record) => Some(record.stamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: REC-4
    #[test]
    fn a_stamp_of_an_unset_clock_is_dated_from_the_report_of_the_same_boot_and_flagged() {
        let frame = FrameTime {
            report: Stamp::Unset {
                uptime_s: 500,
                boot: 3,
            },
            received_utc_s: 1_793_404_800,
        };
        let stamp = |boot| Stamp::Unset {
            uptime_s: 440,
            boot,
        };
        let dated = date(stamp(3), &frame).unwrap();
        assert_eq!((dated.utc_s, dated.by_server), (1_793_404_740, true));
        assert_eq!(date(stamp(2), &frame), None);
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone() {
        assert_eq!(end_of_day(0).utc_s, 86_400 - 32_400);
    }
}
