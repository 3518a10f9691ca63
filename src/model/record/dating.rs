//! When a record was measured, in UTC.

use crate::wire::otl::record::RecordBody;
use crate::wire::otl::stamp::Stamp;
use crate::wire::otl::uplink::UplinkBody;

const DAY_S: i64 = 86_400;
const QUARTER_HOUR_S: i64 = 900;

/// A fixed offset from UTC, in quarter hours to the east.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Zone(i8);

impl Zone {
    /// The zone of Japan, UTC+9.
    pub const JAPAN: Self = Self(36);

    /// A zone by its quarter hours, −48 to 56; none beyond.
    #[must_use]
    pub const fn from_quarter_hours(quarter_hours: i8) -> Option<Self> {
        if quarter_hours >= -48 && quarter_hours <= 56 {
            Some(Self(quarter_hours))
        } else {
            None
        }
    }
}

/// When a record was measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Measured {
    /// UTC seconds.
    pub utc_s: u32,
    /// How far that may be off, in seconds; none if unknown or if a day stands for it.
    pub uncertainty_s: Option<u16>,
    /// Whether the terminal's clock was unset.
    // spec: REC-4
    pub dated_by_server: bool,
    /// Whether the terminal's zone was not in its frame, and that of the server was taken.
    pub zone_assumed: bool,
}

/// What dates the records of one frame.
pub(super) struct Dating {
    report: Stamp,
    received_utc_s: u32,
    zone: Zone,
    zone_assumed: bool,
}

impl Dating {
    pub(super) fn new(body: &UplinkBody, received_utc_s: u32, assumed: Zone) -> Self {
        let told = body.records.iter().find_map(|record| match &record.body {
            RecordBody::TerminalInfo(info) => Zone::from_quarter_hours(info.zone_quarter_hours),
            _ => None,
        });
        Self {
            report: body.report.stamp,
            received_utc_s,
            zone: told.unwrap_or(assumed),
            zone_assumed: told.is_none(),
        }
    }

    pub(super) fn measured(&self, body: &RecordBody) -> Option<Measured> {
        match body {
            RecordBody::Everyday(record) => self.end_of_day(record.parts().day),
            RecordBody::RegisterReading(record) => self.at(record.stamp),
            RecordBody::IntervalSeries(record) => self.at(record.stamp),
            RecordBody::IntervalGauges(record) => self.at(record.stamp),
            RecordBody::AlarmNotice(record) => self.at(record.stamp),
            RecordBody::ValveState(record) => self.at(record.stamp),
            RecordBody::Health(record) => self.at(record.stamp),
            RecordBody::ResidualGas(record) => self.at(record.stamp),
            RecordBody::MeterExchange(record) => self.at(record.stamp()),
            RecordBody::MeterTable(record) => self.at(record.stamp),
            RecordBody::CommandResult(record) => self.at(record.stamp),
            RecordBody::ClockChange(record) => self.at(record.after),
            RecordBody::OpaquePayload(record) => self.at(record.stamp),
            RecordBody::TerminalInfo(record) => self.at(record.stamp),
            RecordBody::Opaque(_) => None,
        }
    }

    /// The end of a day in the terminal's zone, which is where its mark 24 stands.
    // spec: REC-17, REC-18
    fn end_of_day(&self, day: u16) -> Option<Measured> {
        let local_s = i64::from(day).saturating_add(1).saturating_mul(DAY_S);
        let east_s = i64::from(self.zone.0).saturating_mul(QUARTER_HOUR_S);
        Some(Measured {
            utc_s: u32::try_from(local_s.saturating_sub(east_s)).ok()?,
            uncertainty_s: None,
            dated_by_server: false,
            zone_assumed: self.zone_assumed,
        })
    }

    /// An instant of the terminal. One of an unset clock is as long before the receipt as it is
    /// before the report of the same boot; without such a report nobody knows.
    // spec: REC-4
    fn at(&self, stamp: Stamp) -> Option<Measured> {
        let (utc_s, uncertainty_s, dated_by_server) = match (stamp, self.report) {
            (Stamp::Set { utc_s, uncertainty }, _) => (utc_s, uncertainty.seconds(), false),
            (
                Stamp::Unset { uptime_s, boot },
                Stamp::Unset {
                    uptime_s: now_s,
                    boot: now_boot,
                },
            ) if boot == now_boot => {
                let age_s = now_s.checked_sub(uptime_s)?;
                (self.received_utc_s.checked_sub(age_s)?, None, true)
            }
            (Stamp::Unset { .. }, _) => return None,
        };
        Some(Measured {
            utc_s,
            uncertainty_s,
            dated_by_server,
            zone_assumed: false,
        })
    }
}
