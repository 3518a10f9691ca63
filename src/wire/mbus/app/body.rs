//! What an application layer is, by its CI field.

use crate::wire::mbus::error::{MbusError, MbusErrorKind};

use super::application_error::ApplicationError;
use super::compact::{CompactFrame, FormatFrame};
use super::fixed::{FIXED_LEN, FixedData};
use super::named::named;
use super::record::{Direction, Records};

named! {
    /// What records are for.
    RecordsKind {
        Response = "response",
        Command = "command",
        Alarm = "alarm",
    }
}

named! {
    /// A protocol whose inside is not read: its octets are kept.
    OpaqueKind {
        Dlms = "dlms",
        Sml = "sml",
        Obis = "obis",
        ApplicationReset = "application_reset",
        ApplicationRequest = "application_request",
        SelectedApplication = "selected_application",
        SecondarySelection = "secondary_selection",
        Synchronise = "synchronise_action",
        SecurityManagement = "security_management",
        Clock = "clock",
        AlarmStatus = "alarm_status",
        NetworkLayer = "network_layer",
        NetworkManagement = "network_management",
        FormatRequest = "format_request",
        BaudRate = "baud_rate",
        ImageTransfer = "image_transfer",
        SecurityTransfer = "security_transfer",
        AdaptationLayer = "adaptation_layer",
        Manufacturer = "manufacturer",
        Unknown = "unknown",
    }
}

/// The application layer of a telegram.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Records with their heads.
    Records {
        /// What for.
        kind: RecordsKind,
        /// They.
        records: Records<'a>,
    },
    /// Records without their heads.
    Compact(CompactFrame<'a>),
    /// The heads of records.
    Format(FormatFrame<'a>),
    /// The fixed structure of old wired meters.
    Fixed(FixedData),
    /// An application error.
    Error(ApplicationError<'a>),
    /// A transport header alone.
    NoData,
    /// Another protocol.
    Opaque {
        /// Which.
        kind: OpaqueKind,
        /// Its octets.
        octets: &'a [u8],
    },
}

impl<'a> Body<'a> {
    /// Reads `payload`, which follows CI field and transport header (of the fixed structure and of
    /// what has no header, the CI field alone). Offsets count from its first octet.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::UnsupportedCi`] for the CI field of a layer below, which somebody else
    /// reads; those of [`CompactFrame::read`] and [`FormatFrame::read`].
    // clause: EN 13757-7, 7.2, Table 4; OMS Volume 2, Table 1
    pub fn read(ci: u8, is_wired: bool, payload: &'a [u8]) -> Result<Self, MbusError> {
        if let (true, 0x73 | 0x77, Ok(octets)) = (is_wired, ci, payload.try_into()) {
            let octets: [u8; FIXED_LEN] = octets;
            return Ok(Self::Fixed(FixedData::read(octets, ci == 0x77)));
        }
        let records = Records::new(payload, Direction::Uplink);
        let kind = match ci {
            0x72 | 0x78 | 0x7A => return Ok(Self::records(RecordsKind::Response, records)),
            0x76 if is_wired => {
                return Ok(Self::records(
                    RecordsKind::Response,
                    records.high_octet_first(),
                ));
            }
            0x51 | 0x5A | 0x5B => {
                let records = Records::new(payload, Direction::Downlink);
                return Ok(Self::records(RecordsKind::Command, records));
            }
            // Old wired meters answer with one octet of status, which is no record.
            0x71 if payload.len() == 1 => OpaqueKind::AlarmStatus,
            0x71 | 0x74 | 0x75 => return Ok(Self::records(RecordsKind::Alarm, records)),
            0x73 | 0x79 | 0x7B => return CompactFrame::read(payload).map(Self::Compact),
            0x69..=0x6B => return FormatFrame::read(payload).map(Self::Format),
            0x6E..=0x70 => return Ok(Self::Error(ApplicationError::read(payload))),
            0x80 | 0x8A | 0x8B | 0x93 if payload.is_empty() => return Ok(Self::NoData),
            _ => opaque(ci)?,
        };
        Ok(Self::Opaque {
            kind,
            octets: payload,
        })
    }

    const fn records(kind: RecordsKind, records: Records<'a>) -> Self {
        Self::Records { kind, records }
    }
}

fn opaque(ci: u8) -> Result<OpaqueKind, MbusError> {
    Ok(match ci {
        0x00..=0x1F | 0x60 | 0x61 | 0x7C | 0x7D => OpaqueKind::Dlms,
        0x64 | 0x65 | 0x7E => OpaqueKind::Sml,
        0x7F => OpaqueKind::Obis,
        0x50 | 0x53 | 0x57 => OpaqueKind::ApplicationReset,
        0x54..=0x56 => OpaqueKind::ApplicationRequest,
        0x66..=0x68 => OpaqueKind::SelectedApplication,
        0x52 => OpaqueKind::SecondarySelection,
        0x5C => OpaqueKind::Synchronise,
        0x5F | 0x9E | 0x9F => OpaqueKind::SecurityManagement,
        0x62 | 0x6C | 0x6D => OpaqueKind::Clock,
        0x81 => OpaqueKind::NetworkLayer,
        0x82 | 0x83 | 0x87..=0x89 | 0x92 => OpaqueKind::NetworkManagement,
        0x84 | 0x85 => OpaqueKind::FormatRequest,
        0xB8 | 0xBB | 0xBD..=0xBF => OpaqueKind::BaudRate,
        0xC0..=0xC2 | 0xC7 => OpaqueKind::ImageTransfer,
        0xC3..=0xC6 => OpaqueKind::SecurityTransfer,
        0xCF => OpaqueKind::AdaptationLayer,
        0xA0..=0xB7 => OpaqueKind::Manufacturer,
        0x86 | 0x8C..=0x90 => {
            return Err(MbusError::new(
                0,
                MbusErrorKind::UnsupportedCi(ci),
                "CI field",
            ));
        }
        _ => OpaqueKind::Unknown,
    })
}
