//! Cursors of pulls as texts. To a consumer they are opaque.

use crate::model::Lsn;
use crate::store::state::directory::SinkCursors;

/// Writes cursors of a consumer: both positions, and a checksum over them and its name, so that
/// a cursor that was cut or that belongs to another consumer is refused.
#[must_use]
pub fn write(consumer: &str, cursors: SinkCursors) -> String {
    let (alarm, bulk) = (cursors.alarm.get(), cursors.bulk.get());
    format!("{alarm:x}-{bulk:x}-{:08x}", check(consumer, cursors))
}

/// Reads what [`fn@write`] wrote for the same consumer; none for any other text.
#[must_use]
pub fn read(consumer: &str, text: &str) -> Option<SinkCursors> {
    let mut parts = text.split('-');
    let mut position = || {
        let digits = parts.next()?;
        u64::from_str_radix(digits, 16).ok().map(Lsn::new)
    };
    let cursors = SinkCursors {
        alarm: position()?,
        bulk: position()?,
    };
    (write(consumer, cursors) == text).then_some(cursors)
}

fn check(consumer: &str, cursors: SinkCursors) -> u32 {
    let of_name = crc32c::crc32c(consumer.as_bytes());
    let of_alarm = crc32c::crc32c_append(of_name, &cursors.alarm.get().to_be_bytes());
    crc32c::crc32c_append(of_alarm, &cursors.bulk.get().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_written_and_not_for_another_consumer_nor_when_damaged() {
        let cursors = SinkCursors {
            alarm: Lsn::new(64),
            bulk: Lsn::new(1 << 40),
        };
        let text = write("billing", cursors);
        assert_eq!(read("billing", &text), Some(cursors));
        assert_eq!(read("audit", &text), None);
        for wrong in [
            "",
            "-",
            "0-0-0",
            text.get(1..).unwrap_or_default(),
            &format!("{text}-"),
            &text.to_uppercase(),
        ] {
            assert_eq!(read("billing", wrong), None, "{wrong}");
        }
    }
}
