//! The application error of a meter (CI 6Eh, 6Fh, 70h).

/// What a meter answers instead of data.
// clause: EN 13757-3, 10, Table 20; OMS Volume 2, application error codes
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ApplicationError<'a> {
    /// The code; none if the meter sent none.
    pub code: Option<u8>,
    /// What follows the code.
    pub details: &'a [u8],
}

impl<'a> ApplicationError<'a> {
    /// Reads what follows the transport header.
    #[must_use]
    pub fn read(octets: &'a [u8]) -> Self {
        match octets.split_first() {
            Some((code, details)) => Self {
                code: Some(*code),
                details,
            },
            None => Self {
                code: None,
                details: &[],
            },
        }
    }

    /// The name of the code.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        let Some(code) = self.code else {
            return "unspecified";
        };
        match code {
            0x00 => "unspecified",
            0x01 => "ci_not_implemented",
            0x02 => "buffer_too_long",
            0x03 => "too_many_records",
            0x04 => "premature_end_of_record",
            0x05 => "too_many_dife",
            0x06 => "too_many_vife",
            0x08 => "application_busy",
            0x09 => "too_many_readouts",
            0x10 => "access_not_finished",
            0x11 => "no_function",
            0x12 => "data_error",
            0x15 => "parameter_error",
            0x17 => "message_error",
            0x20 => "security_error",
            0x21 => "security_mode_not_supported",
            0x22 => "inadequate_security",
            0xF0 => "dynamic_application_error",
            0xF1..=0xFF => "manufacturer_error",
            _ => "reserved",
        }
    }
}
