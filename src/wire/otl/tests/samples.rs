//! One record of each type in octets, after the record sequence.

use super::STAMP;

/// A day with 24 registers and 24 pressures, and health.
pub(super) const EVERYDAY: &str = "e1001551520087ad4b3027bb7cdc5a1f015042e5fca7dafc8edebe24\
    00011713539237ad3e718f3c39eaf17e00b25768070910";

/// Number and body of every registered type, several where a type has several shapes.
pub(super) fn records() -> Vec<(u8, String)> {
    let stamp = STAMP;
    let unset = "ff000010920011";
    let mac = "000102030405060708090a0b0c0d0e0f";
    vec![
        (0x01, EVERYDAY.replace(' ', "")),
        (0x01, "0100155152".into()),
        (0x01, "110015515287ad4b".into()),
        (0x01, "2100155152b25768070910".into()),
        (0x02, format!("{stamp}10150187ad4b")),
        (0x02, format!("{unset}1015020a")),
        (0x03, format!("{stamp}0015001e03 00 0a 04")),
        (
            0x03,
            format!("{stamp}0015001e05 02 00 01 02 0a 01 03 02 00 04"),
        ),
        (0x04, format!("{stamp}0059003c02 00 0117 00")),
        (0x04, format!("{stamp}0059003c09 01 8080 0117 00")),
        (
            0x05,
            format!("{stamp}008337159fb84b 0441204243 02 02013032 03033039"),
        ),
        (0x05, format!("{stamp}00410000010102 0000")),
        (0x06, format!("{stamp}0002010000002a00")),
        (0x06, format!("{stamp}0002010000002a03{mac}")),
        (0x07, format!("{stamp}b257680709100000012c00015180")),
        (0x08, format!("{stamp}000100")),
        (0x08, format!("{stamp}00028015 64")),
        (0x09, format!("{stamp}000100")),
        (0x09, format!("{stamp}0001c01587ad4b1500")),
        (0x0A, format!("{stamp}00031508 03 414231")),
        (0x0B, format!("{stamp}000000002a20 00 01 01 00")),
        (0x0B, format!("{stamp}030000002a01 00 02 01 02 beef {mac}")),
        (0x0C, format!("{stamp}{unset}02")),
        (0x0D, format!("{stamp}000105cafe")),
        (0x0E, format!("{stamp}0001000001020003 24")),
    ]
    .into_iter()
    .map(|(number, body)| (number, body.replace(' ', "")))
    .collect()
}
