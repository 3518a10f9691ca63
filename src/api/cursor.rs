//! Cursors of pulls as texts. To a consumer they are opaque.

use subtle::ConstantTimeEq as _;

use crate::crypto::cmac::CmacKey;
use crate::crypto::key::{Key128, KeyOctets};
use crate::model::Lsn;
use crate::store::state::directory::SinkCursors;

use super::token::Token;

/// Separates these MACs from any other use of a token.
const LABEL: &[u8] = b"kenshin.cursor/1";

/// What a consumer's cursors are sealed with, so that one that was cut, guessed or given to another
/// consumer is refused. It comes from the token: cursors outlive the process, not a change of the
/// token.
#[derive(Debug)]
pub struct CursorKey {
    consumer: String,
    key: CmacKey,
}

impl CursorKey {
    /// The key of a consumer with this token: as AES-CMAC-PRF-128 of RFC 4615 takes keys of any
    /// length.
    #[must_use]
    pub fn new(consumer: &str, token: &Token) -> Self {
        let none = CmacKey::new(&KeyOctets::Short(Key128::take(&mut [0; 16])));
        let mut octets = none.mac(&[token.octets()]);
        Self {
            consumer: consumer.to_owned(),
            key: CmacKey::new(&KeyOctets::Short(Key128::take(&mut octets))),
        }
    }

    /// Writes cursors: both positions and a MAC over them and the consumer's name.
    #[must_use]
    pub fn write(&self, cursors: SinkCursors) -> String {
        let (alarm, bulk) = (cursors.alarm.get(), cursors.bulk.get());
        let positions = [alarm.to_be_bytes(), bulk.to_be_bytes()];
        let parts = [LABEL, self.consumer.as_bytes(), positions.as_flattened()];
        let mac = u128::from_be_bytes(self.key.mac(&parts));
        format!("{alarm:x}-{bulk:x}-{mac:032x}")
    }

    /// Reads what [`Self::write`] wrote for the same consumer and token; none for any other text.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<SinkCursors> {
        let mut parts = text.split('-');
        let mut position = || {
            let digits = parts.next()?;
            u64::from_str_radix(digits, 16).ok().map(Lsn::new)
        };
        let cursors = SinkCursors {
            alarm: position()?,
            bulk: position()?,
        };
        let written = self.write(cursors);
        let is_it = written.as_bytes().ct_eq(text.as_bytes());
        bool::from(is_it).then_some(cursors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(consumer: &str, token: &[u8]) -> CursorKey {
        CursorKey::new(consumer, &Token::parse(token).unwrap())
    }

    #[test]
    fn a_cursor_reads_as_written_and_not_for_another_consumer_or_token_nor_when_damaged() {
        let cursors = SinkCursors {
            alarm: Lsn::new(64),
            bulk: Lsn::new(1 << 40),
        };
        let billing = key("billing", &[b'a'; 24]);
        let text = billing.write(cursors);
        assert_eq!(billing.read(&text), Some(cursors));
        assert_eq!(key("audit", &[b'a'; 24]).read(&text), None);
        assert_eq!(key("billing", &[b'b'; 24]).read(&text), None);
        for wrong in [
            "",
            "-",
            "0-0-0",
            text.get(1..).unwrap_or_default(),
            &format!("{text}-"),
            &text.to_uppercase(),
        ] {
            assert_eq!(billing.read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_other_position_passes_with_the_seal_of_one_that_was_given_out() {
        let billing = key("billing", &[b'a'; 24]);
        let cursors = SinkCursors {
            alarm: Lsn::new(64),
            bulk: Lsn::new(64),
        };
        let text = billing.write(cursors);
        let (_, seal) = text.rsplit_once('-').unwrap();
        for position in 65..2_000 {
            let guessed = format!("{position:x}-{position:x}-{seal}");
            assert_eq!(billing.read(&guessed), None, "{guessed}");
        }
    }
}
