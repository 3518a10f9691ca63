use hex_literal::hex;

use super::*;

fn address(last: u8) -> Address {
    Address::from_link_order([0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, last])
}

/// A telegram of which everything is told.
pub(in crate::model) fn told<'a>() -> Telegram<'a> {
    Telegram {
        decoder: 1,
        carriage: Carriage::Tcp,
        link: LinkForm::WirelessUnchecked,
        utility: UtilityId::new(*b"gasworks"),
        gateway: "roof",
        received_utc_ms: 0x0000_01A2_2063_0C00,
        heard_utc_ms: Some(0x0000_01A2_2063_0800),
        rssi_dbm: Some(-87),
        security: Security {
            mode: 7,
            link_encrypted: true,
            clear_tail_octets: 0,
            withheld_octets: 0,
            cut_octets: 0,
            verified: Verified::Mac,
            key: Some(KeyName {
                id: KeyId(8),
                version: KeyVersion(2),
            }),
            counter: Some(0x0102_0304),
        },
        meter: address(3),
        sender: Some(address(7)),
        access_number: Some(0x2A),
        status: Some(0x04),
        ci: 0x7A,
        is_wired: false,
        header: &hex!("2E449315785634123303"),
        expanded: Some(&hex!("0C1427048502")),
        digest: 0x1122_3344_5566_7788,
        payload: &hex!("FD0B27048502"),
    }
}

/// A telegram of which as little as possible is told.
fn bare<'a>() -> Telegram<'a> {
    Telegram {
        carriage: Carriage::Udp,
        link: LinkForm::Wired,
        heard_utc_ms: None,
        rssi_dbm: None,
        security: Security {
            mode: 0,
            link_encrypted: false,
            clear_tail_octets: 0,
            withheld_octets: 0,
            cut_octets: 0,
            verified: Verified::None,
            key: None,
            counter: None,
        },
        sender: None,
        access_number: None,
        status: None,
        ci: 0x70,
        is_wired: true,
        header: &[],
        expanded: None,
        payload: &[],
        ..told()
    }
}

/// The octets were written by hand from the table of the module.
#[test]
fn the_octets_of_version_1_stay_as_they_are() {
    let octets = hex!(
        "01 01 0FFE 0001 676173776F726B73 000001A220630C00 000001A220630800 FFA9"
        "02 07 08 02 01020304 9315785634123303 9315785634123307 2A 04 7A"
        "04 726F6F66 0A 2E449315785634123303 0006 0C1427048502 1122334455667788 FD0B27048502"
    );
    assert_eq!(told().encode().unwrap(), octets);
    assert_eq!(Telegram::decode(&octets), Ok(told()));
    let octets = hex!(
        "01 02 1001 0001 676173776F726B73 000001A220630C00 00 00 9315785634123303 70"
        "04 726F6F66 00 1122334455667788"
    );
    assert_eq!(bare().encode().unwrap(), octets);
    assert_eq!(Telegram::decode(&octets), Ok(bare()));
}

/// A tail that the log does not keep.
#[test]
fn a_withheld_tail_is_told_and_makes_no_other_telegram_of_a_copy() {
    let mut telegram = bare();
    let digest = telegram.digest_of_content();
    telegram.security.withheld_octets = 7;
    let octets = hex!(
        "01 02 9001 0001 676173776F726B73 000001A220630C00 00 00 0007 9315785634123303 70"
        "04 726F6F66 00 1122334455667788"
    );
    assert_eq!(telegram.encode().unwrap(), octets);
    assert_eq!(Telegram::decode(&octets), Ok(telegram));
    assert_eq!(telegram.digest_of_content(), digest);
}

#[test]
fn octets_that_were_cut_or_changed_are_read_or_refused_and_never_read_beyond_their_end() {
    let octets = told().encode().unwrap();
    let whole = octets.len() - told().payload.len();
    for end in 0..whole {
        assert!(Telegram::decode(&octets[..end]).is_err(), "{end}");
    }
    for place in 0..octets.len() {
        for octet in 0..=u8::MAX {
            let mut changed = octets.clone();
            changed[place] = octet;
            if let Ok(telegram) = Telegram::decode(&changed) {
                assert_eq!(telegram.encode().unwrap(), changed);
            }
        }
    }
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    assert_eq!(Telegram::decode(&[2, 0]), Err(TelegramError::Version(2)));
    assert_eq!(Telegram::decode(&[0]), Err(TelegramError::Malformed));
    assert_eq!(Telegram::decode(&[]), Err(TelegramError::Malformed));
}

#[test]
fn what_does_not_fit_has_no_form() {
    let long = "x".repeat(256);
    let telegram = Telegram {
        gateway: &long,
        ..bare()
    };
    assert_eq!(telegram.encode(), Err(TelegramTooLong));
}

#[test]
fn alarms_are_told_by_their_ci_field_or_their_status() {
    for ci in [0x71, 0x74, 0x75] {
        assert_eq!(lane_of(ci, None), Lane::Alarm);
    }
    assert_eq!(lane_of(0x7A, Some(0x03)), Lane::Alarm);
    for status in [None, Some(0x00), Some(0x02), Some(0x04), Some(0xFC)] {
        assert_eq!(lane_of(0x7A, status), Lane::Bulk, "{status:?}");
    }
}

#[test]
fn copies_have_one_digest_and_other_telegrams_another() {
    let digest = |telegram: &Telegram<'_>| telegram.digest_of_content();
    let whole = told();
    let copy = Telegram {
        carriage: Carriage::Udp,
        gateway: "hill",
        rssi_dbm: None,
        heard_utc_ms: None,
        link: LinkForm::WirelessA,
        sender: None,
        header: &[],
        expanded: None,
        ..whole
    };
    assert_eq!(digest(&whole), digest(&copy));
    let others = [
        Telegram {
            access_number: Some(0x2B),
            ..whole
        },
        Telegram {
            access_number: None,
            ..whole
        },
        Telegram {
            status: Some(0),
            ..whole
        },
        Telegram {
            payload: &[],
            ..whole
        },
        Telegram {
            meter: address(4),
            ..whole
        },
        Telegram {
            utility: UtilityId::new(*b"citygas2"),
            ..whole
        },
        Telegram {
            security: Security {
                counter: Some(1),
                ..whole.security
            },
            ..whole
        },
    ];
    for other in others {
        assert_ne!(digest(&whole), digest(&other), "{other:?}");
    }
}

#[test]
fn telegrams_of_an_extended_link_layer_are_told_apart_by_its_numbers_and_not_by_its_control_field()
{
    let of = |layer: &[u8]| {
        let header = [&hex!("449315785634123303")[..], layer].concat();
        let telegram = Telegram {
            header: &header,
            ..bare()
        };
        let telegram = Telegram {
            is_wired: false,
            link: LinkForm::WirelessUnchecked,
            ..telegram
        };
        telegram.digest_of_content()
    };
    assert_eq!(of(&hex!("8C002A")), of(&hex!("8C402A")));
    assert_ne!(of(&hex!("8C002A")), of(&hex!("8C002B")));
    assert_eq!(of(&hex!("8D002A01020320")), of(&hex!("8D402A01020320")));
    assert_ne!(of(&hex!("8D002A01020320")), of(&hex!("8D002A01020420")));
}

#[test]
fn a_status_without_records_raises_no_alarm() {
    for ci in [0x6E, 0x70, 0x8A, 0x8B] {
        assert_eq!(lane_of(ci, Some(0x03)), Lane::Bulk);
    }
}

#[test]
fn the_time_of_measurement_is_what_the_meter_s_clock_says_and_no_other_time() {
    let measured = |records: &str| {
        let digits = records.as_bytes().chunks(2);
        let payload: Vec<u8> = digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
        let telegram = Telegram {
            expanded: None,
            payload: &payload,
            ..told()
        };
        let facts =
            crate::model::telegram_record::telegram_value_json(&telegram, &mut String::new());
        facts.measured.map(|at| at.to_string())
    };
    let clock = "046D32371F15";
    let told = Some("2008-05-31T23:50".to_owned());
    assert_eq!(measured(clock), told);
    for other in [
        // A time of day, a date, a maximum's time, an error's, a start's, yesterday's, a tariff's.
        "036D3B300B",
        "026D1F15",
        "146D31371F15",
        "346D31371F15",
        "04ED3931371F15",
        "446D31371F15",
        "84106D31371F15",
        // The clock does not go right.
        "046DB2371F15",
    ] {
        assert_eq!(measured(other), None, "{other}");
        assert_eq!(measured(&[other, clock].concat()), told, "{other}");
    }
}
