//! The lines by which a gateway hands a telegram on.

use super::date::Civil;
use crate::json::hex;

/// What a gateway tells of a telegram besides its octets. Of what it does not tell there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// When it heard the telegram, UTC seconds.
    pub heard_utc_s: Option<u32>,
    /// How strong it was.
    pub rssi_dbm: Option<i16>,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Digits alone.
    Digits,
    /// A JSON object.
    Json,
    /// As `rtl_wmbus` writes it.
    RtlWmbus,
}

impl Form {
    /// The form of a number.
    pub(super) const fn of(number: u64) -> Self {
        match number % 3 {
            0 => Self::Digits,
            1 => Self::Json,
            _ => Self::RtlWmbus,
        }
    }

    /// A line with its end, and what it tells.
    pub(super) fn line(self, telegram: &[u8], heard_utc_s: u32, rssi_dbm: i16) -> (String, Told) {
        let digits = hex(telegram);
        let at = Civil::of_utc(heard_utc_s);
        let told = Told {
            heard_utc_s: Some(heard_utc_s),
            rssi_dbm: Some(rssi_dbm),
        };
        match self {
            Self::Digits => (digits.to_uppercase() + "\n", Told::default()),
            Self::Json => {
                let at = at.to_second();
                let line = format!(
                    "{{\"telegram\":\"{digits}\",\"time\":\"{at}Z\",\"rssi\":{rssi_dbm}}}\n"
                );
                (line, told)
            }
            Self::RtlWmbus => {
                let at = at.to_second().replace('T', " ");
                let line = format!("T1;1;1;{at}.000Z;{rssi_dbm};0;00000000;0x{digits}\n");
                (line, told)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_forms_that_gateways_send_and_tell_what_they_say() {
        let line = |form: Form| form.line(&[0x2E, 0x44], 1_795_852_809, -87);
        let (digits, told) = line(Form::Digits);
        assert_eq!((digits.as_str(), told), ("2E44\n", Told::default()));
        let (json, told) = line(Form::Json);
        let expected = "{\"telegram\":\"2e44\",\"time\":\"2026-11-28T08:00:09Z\",\"rssi\":-87}\n";
        assert_eq!(json, expected);
        assert_eq!(told.heard_utc_s, Some(1_795_852_809));
        let (rtl, told) = line(Form::RtlWmbus);
        let expected = "T1;1;1;2026-11-28 08:00:09.000Z;-87;0;00000000;0x2e44\n";
        assert_eq!(rtl, expected);
        assert_eq!(told.rssi_dbm, Some(-87));
    }
}
