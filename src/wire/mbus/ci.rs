//! The CI field: what it announces, and which header follows it.

/// The transport header that follows a CI field.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HeaderKind {
    /// None: the application data begins at once.
    None,
    /// Access number, status, configuration field: four octets, and what the mode adds.
    Short,
    /// The meter's address before those: twelve octets, and what the mode adds.
    Long,
}

/// What a CI field announces.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Announced {
    /// An extended link layer, I to IV.
    ExtendedLink {
        /// Whether an address follows (III and IV).
        has_address: bool,
        /// Whether session number and check follow (II and IV).
        has_session: bool,
    },
    /// The authentication and fragmentation layer.
    Authentication,
    /// A layer that is known and not read: the network layer, an extended link layer V.
    OtherLayer,
    /// The transport layer, and the application data behind it.
    Transport(HeaderKind),
}

/// What a CI field announces; none for one that no table has. `is_fixed` says that a wired frame
/// with 73h or 77h has the length of the fixed structure of old meters.
// clause: EN 13757-7, 7.2, Table 4; OMS Volume 2, Table 1
#[must_use]
pub const fn announced(ci: u8, is_wired: bool, is_fixed: bool) -> Option<Announced> {
    use Announced::{Authentication, ExtendedLink, OtherLayer, Transport};
    use HeaderKind::{Long, None as Nothing, Short};

    if is_wired {
        match ci {
            // Mode 2 of old meters: the same as one with bit 2 clear, the high octet first.
            0x76 => return Some(Transport(Long)),
            0x73 | 0x77 if is_fixed => return Some(Transport(Nothing)),
            0x55..=0x57 => return Some(Transport(Nothing)),
            _ => {}
        }
    }
    Some(match ci {
        0x8C => ExtendedLink {
            has_address: false,
            has_session: false,
        },
        0x8D => ExtendedLink {
            has_address: false,
            has_session: true,
        },
        0x8E => ExtendedLink {
            has_address: true,
            has_session: false,
        },
        0x8F => ExtendedLink {
            has_address: true,
            has_session: true,
        },
        0x86 | 0x81 => OtherLayer,
        0x90 => Authentication,
        0x5A | 0x57 | 0x56 | 0x61 | 0x65 | 0x67 | 0x6A | 0x6E | 0x74 | 0x79 | 0x7A | 0x7B
        | 0x7D | 0x7F | 0x8A | 0x9E | 0xC1 | 0xC4 | 0xC6 | 0xC7 => Transport(match ci {
            // A compact frame without a header.
            0x79 => Nothing,
            _ => Short,
        }),
        0x53 | 0x55 | 0x5B | 0x5F | 0x60 | 0x62 | 0x64 | 0x68 | 0x6B | 0x6C | 0x6D | 0x6F
        | 0x72 | 0x73 | 0x75 | 0x7C | 0x7E | 0x80 | 0x84 | 0x85 | 0x8B | 0x9F | 0xC0 | 0xC2
        | 0xC3 | 0xC5 => {
            Transport(match ci {
                // Clock synchronisation with a short header.
                0x62 => Short,
                _ => Long,
            })
        }
        0x93 => Transport(Short),
        0x00..=0x1F
        | 0x50..=0x52
        | 0x54
        | 0x5C
        | 0x66
        | 0x69
        | 0x70
        | 0x71
        | 0x78
        | 0x82
        | 0x83
        | 0x87..=0x89
        | 0x92
        | 0xA0..=0xB8
        | 0xBB
        | 0xBD..=0xBF
        | 0xCF => Transport(Nothing),
        _ => return None,
    })
}

/// Whether a CI field stands only in telegrams to a meter.
// clause: OMS Volume 2, Table 1
#[must_use]
pub const fn is_to_meter(ci: u8) -> bool {
    matches!(
        ci,
        0x50..=0x57
            | 0x5A..=0x5C
            | 0x5F..=0x62
            | 0x64
            | 0x65
            | 0x6C
            | 0x6D
            | 0x80
            | 0x84
            | 0x85
            | 0x93
            | 0xB8
            | 0xBB
            | 0xBD..=0xBF
            | 0xC0
            | 0xC3
            | 0xC6
            | 0xC7
    )
}

/// What a CI field announces, in words; none for one that no table has. In wired frames some have
/// the meaning that old meters give them.
// clause: EN 13757-7, 7.2, Table 4; OMS Volume 2, Table 1
#[must_use]
pub const fn name(ci: u8, is_wired: bool) -> Option<&'static str> {
    Some(match ci {
        0x55 if is_wired => "M-Bus command, high octet first",
        0x56 if is_wired => "secondary address selection, high octet first",
        0x76 if is_wired => "M-Bus response, high octet first",
        0x77 if is_wired => "fixed structure, high octet first",
        0x00..=0x1F => "DLMS APDU",
        0x50 | 0x53 | 0x57 => "application reset or select",
        0x51 | 0x5A | 0x5B => "M-Bus command",
        0x52 => "secondary address selection",
        0x54..=0x56 => "request of selected application",
        0x5C => "synchronise action",
        0x5F | 0x9E | 0x9F => "security management",
        0x60 | 0x61 => "DLMS/COSEM command",
        0x62 | 0x6C | 0x6D => "clock synchronisation",
        0x64 | 0x65 => "SML command",
        0x66..=0x68 => "selected application response",
        0x69..=0x6B => "M-Bus format frame",
        0x6E..=0x70 => "application error",
        0x71 | 0x74 | 0x75 => "alarm",
        0x72 | 0x78 | 0x7A => "M-Bus response",
        0x73 if is_wired => "M-Bus response, compact frame or fixed structure",
        0x73 | 0x79 | 0x7B => "M-Bus response, compact frame",
        0x7C | 0x7D => "DLMS/COSEM response",
        0x7E => "SML response",
        0x7F => "OBIS response",
        0x80 | 0x93 => "transport layer to the meter, no application data",
        0x8A | 0x8B => "transport layer from the meter, no application data",
        0x81 => "network layer",
        0x82 | 0x83 | 0x87..=0x89 | 0x92 => "network management",
        0x84 => "request of a compact frame",
        0x85 => "request of a format frame",
        0x86 => "extended link layer V",
        0x8C => "extended link layer I",
        0x8D => "extended link layer II",
        0x8E => "extended link layer III",
        0x8F => "extended link layer IV",
        0x90 => "authentication and fragmentation layer",
        0xA0..=0xB7 => "manufacturer specific",
        0xB8 | 0xBB | 0xBD..=0xBF => "set baud rate",
        0xC0 | 0xC7 | 0xC1 | 0xC2 => "image transfer",
        0xC3..=0xC6 => "security information transfer",
        0xCF => "adaptation layer",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_ci_field_is_that_of_the_table() {
        let header = |ci| match announced(ci, false, false) {
            Some(Announced::Transport(header)) => header,
            other => panic!("{ci:02X} {other:?}"),
        };
        // OMS Volume 2, Table 1.
        for ci in [
            0x5A, 0x61, 0x65, 0x6A, 0x6E, 0x74, 0x7A, 0x7B, 0x7D, 0x7F, 0x8A, 0x93, 0xC1,
        ] {
            let expected = HeaderKind::Short;
            assert_eq!(header(ci), expected, "{ci:02X}");
        }
        for ci in [
            0x53, 0x5B, 0x60, 0x64, 0x6B, 0x6F, 0x72, 0x73, 0x75, 0x7C, 0x7E, 0x80, 0x8B,
        ] {
            assert_eq!(header(ci), HeaderKind::Long, "{ci:02X}");
        }
        for ci in [0x51, 0x69, 0x70, 0x71, 0x78, 0x79, 0x00, 0xA2, 0xCF] {
            assert_eq!(header(ci), HeaderKind::None, "{ci:02X}");
        }
        assert_eq!(announced(0xFF, false, false), None);
        for (ci, is_wired) in (0..=0xFF).flat_map(|ci| [(ci, false), (ci, true)]) {
            let has_name = name(ci, is_wired).is_some();
            assert_eq!(
                announced(ci, is_wired, true).is_some(),
                has_name,
                "{ci:02X}"
            );
            assert!(has_name || !is_to_meter(ci));
        }
        assert_eq!(
            announced(0x76, true, false),
            Some(Announced::Transport(HeaderKind::Long))
        );
        assert_eq!(announced(0x76, false, false), None);
        assert_eq!(
            announced(0x73, true, true),
            Some(Announced::Transport(HeaderKind::None))
        );
    }
}
