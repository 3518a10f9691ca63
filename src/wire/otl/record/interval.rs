//! Registers and gauges at equal distances from an instant on.

use core::fmt;

use nom::number::complete::{be_u8, be_u16};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::otl::gauges::{Gauges, gauges};
use crate::wire::otl::limits::INTERVAL_MARKS_MAX;
use crate::wire::otl::meter::{Meter, Unit, meter, unit};
use crate::wire::otl::series::{Series, series};
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

/// The distance of two marks: 1 to 1,440 minutes.
// spec: REC-21
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepMinutes(u16);

impl StepMinutes {
    /// A distance in minutes.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 0 and above 1,440.
    pub const fn new(minutes: u16) -> Result<Self, OutOfRange> {
        match minutes {
            1..=1_440 => Ok(Self(minutes)),
            _ => Err(OutOfRange("step, 1 to 1,440 minutes")),
        }
    }

    /// The distance in minutes.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for StepMinutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} min", self.0)
    }
}

/// 0x03: registers at equal distances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntervalSeries {
    /// The instant of mark 1.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// The unit of the registers.
    pub unit: Unit,
    /// The distance of two marks.
    pub step: StepMinutes,
    /// The registers, at 1 to 250 marks.
    pub series: Series,
}

impl IntervalSeries {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.unit.code())?;
        out.u16(self.step.get())?;
        out.u8(self.series.count())?;
        self.series.encode(out)
    }
}

/// 0x04: gauges at equal distances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntervalGauges {
    /// The instant of mark 1.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// The unit of the gauges.
    pub unit: Unit,
    /// The distance of two marks.
    pub step: StepMinutes,
    /// The gauges, at 1 to 250 marks.
    pub gauges: Gauges,
}

impl IntervalGauges {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.unit.code())?;
        out.u16(self.step.get())?;
        out.u8(self.gauges.count())?;
        self.gauges.encode(out)
    }
}

/// What both records begin with.
struct Head {
    stamp: Stamp,
    meter: Meter,
    unit: Unit,
    step: StepMinutes,
    count: u8,
}

// spec: REC-21
fn head(input: Span<'_>) -> Parsed<'_, Head> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, unit) = unit("unit")(rest)?;
    let (rest, step) = field(
        "step",
        ranged(be_u16, |minutes| StepMinutes::new(minutes).ok()),
    )(rest)?;
    let (rest, count) = field(
        "count",
        ranged(be_u8, |count| {
            matches!(count, 1..=INTERVAL_MARKS_MAX).then_some(count)
        }),
    )(rest)?;
    let head = Head {
        stamp,
        meter,
        unit,
        step,
        count,
    };
    Ok((rest, head))
}

pub(crate) fn interval_series(input: Span<'_>) -> Parsed<'_, IntervalSeries> {
    let (rest, head) = head(input)?;
    let (rest, series) = series(head.count)(rest)?;
    let record = IntervalSeries {
        stamp: head.stamp,
        meter: head.meter,
        unit: head.unit,
        step: head.step,
        series,
    };
    Ok((rest, record))
}

pub(crate) fn interval_gauges(input: Span<'_>) -> Parsed<'_, IntervalGauges> {
    let (rest, head) = head(input)?;
    let (rest, gauges) = gauges(head.count)(rest)?;
    let record = IntervalGauges {
        stamp: head.stamp,
        meter: head.meter,
        unit: head.unit,
        step: head.step,
        gauges,
    };
    Ok((rest, record))
}
