//! Telegrams that were published, built anew from what they say.

use hex_literal::hex;

use super::*;

const ELS: Address = Address {
    manufacturer: *b"ELS",
    identification: 12_345_678,
    version: 0x33,
    device_type: 3,
};

/// 28504.27 m³, 2008-05-31 23:50, no error: the gas meter of OMS Volume 2 Annex N.
const GAS: [u8; 17] = hex!("0C1427048502046D32371F1502FD170000");

fn key(octets: [u8; 16]) -> SecretKey {
    SecretKey::new(&octets).unwrap()
}

#[test]
fn a_telegram_of_mode_5_is_that_of_oms_annex_n() {
    let key = key(hex!("0102030405060708090A0B0C0D0E0F11"));
    let head = Head {
        address: ELS,
        access_number: 0x2A,
        status: 0,
        counter: 0,
    };
    // N.2.1 of OMS Volume 2 Annex N.
    let published = hex!(
        "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC9"
        "9D6D69EBF3"
    );
    assert_eq!(seal(&head, Mode::Cbc, &key, &GAS).unwrap(), published);
}

#[test]
fn a_telegram_of_mode_7_is_that_of_cen_tr_17167_with_and_without_crcs() {
    let key = key(hex!("000102030405060708090A0B0C0D0E0F"));
    let head = Head {
        address: ELS,
        access_number: 0x75,
        status: 0,
        counter: 2_739,
    };
    // F.3 of CEN/TR 17167, profile B.
    let published = hex!(
        "434493157856341233038C2075900F002C25B30A000021924D4F2FB66E017A75002007109058475F4BC9"
        "1DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93"
    );
    let checked = hex!(
        "434493157856341233037AC98C2075900F002C25B30A000021924D4FBA372FB66E017A75002007109058"
        "475F4BC9D1281DF878B80A1B0F98B629024AAC7279429398BFC549233C0140829B93BAA1"
    );
    let telegram = seal(&head, Mode::CbcDerived, &key, &GAS).unwrap();
    assert_eq!(telegram, published);
    assert_eq!(format_a(&telegram), checked);
}

#[test]
fn a_telegram_of_mode_10_is_that_of_a_water_meter_in_the_field() {
    let key = key(hex!("BF902DD6DFADAFE83E4AE6832B5FA14C"));
    let head = Head {
        address: Address {
            manufacturer: *b"KAW",
            identification: 53_820_306,
            version: 0x3C,
            device_type: 0x16,
        },
        access_number: 0x30,
        status: 0x10,
        counter: 939_916,
    };
    let records =
        hex!("046D1C2A2F3C04150000000002FF25010406FF1BFFFFFFFFFFFF446D0020213C441500000000");
    // Issue 1667 of wmbusmeters.
    let published = hex!(
        "4544372C060382533C168C20307A3010FF2A10018C570E006DA7632471F42B0A3CECCD461353573ED02B"
        "87118BC5FFE982F7F00A0274543BC51938F8B9C8BB8928114D60788A"
    );
    let telegram = seal(&head, Mode::CcmDerived, &key, &records).unwrap();
    assert_eq!(telegram, published);
}

#[test]
fn a_telegram_of_mode_0_shows_its_records() {
    let head = Head {
        address: ELS,
        access_number: 1,
        status: 4,
        counter: 0,
    };
    let telegram = seal(&head, Mode::Clear, &key([0; 16]), &GAS).unwrap();
    let expected = [
        hex!("1F4493157856341233037A01040000").as_slice(),
        GAS.as_slice(),
    ];
    assert_eq!(telegram, expected.concat());
}
