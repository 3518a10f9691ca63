//! Registers at the full hours of a day, through steps of the clock.

use crate::codec::series::{Break, Reason, Series};

/// The marks of one day, 1 (01:00) to 24 (24:00).
///
/// The meter side hands in the register whenever a full hour of the clock has been reached, and
/// says when the clock was stepped. No mark runs twice, and one that was jumped over is a gap.
// spec: ANS-17, REC-17
#[derive(Debug, Clone)]
pub struct DayMarks {
    day: u16,
    marks: [Option<u64>; 24],
    last: u8,
    stepped: bool,
    breaks: Vec<Break>,
}

impl DayMarks {
    /// No mark yet.
    #[must_use]
    pub fn new(day: u16) -> Self {
        Self {
            day,
            marks: [None; 24],
            last: 0,
            stepped: false,
            breaks: Vec::new(),
        }
    }

    /// The day.
    #[must_use]
    pub fn day(&self) -> u16 {
        self.day
    }

    /// The clock was stepped: the next mark that is taken begins a segment.
    pub fn clock_stepped(&mut self) {
        self.stepped = true;
    }

    /// The meter did something that lets its register step back before the next mark.
    pub fn meter_event(&mut self, reason: Reason) {
        let mark = self.last.saturating_add(1);
        self.breaks.push(Break { mark, reason });
    }

    /// The clock reached a mark. Says whether it was taken; one that ran before is not.
    pub fn reached(&mut self, mark: u8, register: u64) -> bool {
        if mark <= self.last || mark > 24 {
            return false;
        }
        let Some(cell) = self.marks.get_mut(usize::from(mark) - 1) else {
            return false;
        };
        *cell = Some(register);
        self.last = mark;
        if self.stepped {
            self.stepped = false;
            self.breaks.retain(|b| b.mark != mark);
            self.breaks.push(Break {
                mark,
                reason: Reason::Clock,
            });
        }
        true
    }

    /// The day's series, if anything was measured.
    #[must_use]
    pub fn series(&self) -> Option<Series> {
        Series::from_marks(&self.marks, &self.breaks)
    }
}

/// Day and mark of a full hour: mark 24 of a day is midnight of the next.
// spec: REC-17
#[must_use]
pub fn hour_mark(utc_s: u32, zone_quarter_hours: i8) -> Option<(u16, u8)> {
    let local = i64::from(utc_s) + i64::from(zone_quarter_hours) * 900;
    if local % 3_600 != 0 || local < 3_600 {
        return None;
    }
    let before = local - 3_600;
    let day = u16::try_from(before / 86_400).ok()?;
    let mark = u8::try_from(before % 86_400 / 3_600 + 1).ok()?;
    Some((day, mark))
}
