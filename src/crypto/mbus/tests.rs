//! Published telegrams, cut by hand. Names of sources as in each test.

use hex_literal::hex;

use super::*;
use crate::crypto::key::Key128;
use crate::crypto::verify::MacMismatch;

/// The key of OMS Volume 2 Annex N, N.2.1.
const N_2_1: [u8; 16] = hex!("0102030405060708090A0B0C0D0E0F11");
/// The key of the other examples of that annex, and of CEN/TR 17167 Annex F.
const COUNTING: [u8; 16] = hex!("000102030405060708090A0B0C0D0E0F");
/// Kamstrup water meter, wmbusmeters issue 1667.
const KAMSTRUP: [u8; 16] = hex!("BF902DD6DFADAFE83E4AE6832B5FA14C");

/// The gas meter's plaintext in N.2.1 and in F.3.
const GAS: [u8; 32] = hex!("2F2F0C1427048502046D32371F1502FD1700002F2F2F2F2F2F2F2F2F2F2F2F2F");
/// CEN/TR 17167, F.3: the encrypted records, with integrated radio and with a radio adapter alike.
const F_3: [u8; 32] = hex!("9058475F4BC91DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93");

struct Mode5 {
    key: [u8; 16],
    address: [u8; 8],
    access_number: u8,
    data: &'static [u8],
    start: &'static [u8],
}

/// N.2.1; N.5.3, whose address is that of the long header; a radio converter, published with its
/// key.
const MODE_5: [Mode5; 3] = [
    Mode5 {
        key: N_2_1,
        address: hex!("9315785634123303"),
        access_number: 0x2A,
        data: &hex!("5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"),
        start: &GAS,
    },
    Mode5 {
        key: COUNTING,
        address: hex!("9344887766555508"),
        access_number: 0,
        data: &hex!("00DFE2A782146D1513581CD2F83F3904"),
        start: &hex!("2F2F"),
    },
    Mode5 {
        key: hex!("CAFEBABE123456789ABCDEF0CAFEBABE"),
        address: hex!("A205440000570C37"),
        access_number: 0xA3,
        data: &hex!("d898c64fd0c9bd2634365084e4df946736c71a2103e45a190caa1a49b602e46c"
            "9f45fcee79afbe34f0c167fd857f659e"),
        start: &hex!("2F2F"),
    },
];

#[test]
fn published_telegrams_of_mode_5_open_and_seal_again() {
    for Mode5 {
        key,
        address,
        access_number,
        data,
        start,
    } in MODE_5
    {
        let key = Key128::from(key);
        let mut buffer = data.to_vec();
        open_cbc_mode5(&key, address, access_number, &mut buffer).unwrap();
        assert!(buffer.starts_with(start), "{buffer:02X?}");
        seal_cbc_mode5(&key, address, access_number, &mut buffer).unwrap();
        assert_eq!(buffer, data);
    }
}

#[test]
fn the_partly_encrypted_telegram_of_annex_n_has_its_units() {
    let Mode5 {
        key,
        address,
        access_number,
        data,
        ..
    } = &MODE_5[1];
    let mut buffer = data.to_vec();
    open_cbc_mode5(&Key128::from(*key), *address, *access_number, &mut buffer).unwrap();
    // 1234 units; 2007-04-30; 23456 units at storage 1, as the annex prints them.
    let printed = hex!("2F2F0B6E341200426CFE04");
    assert_eq!(buffer[..printed.len()], printed);
}

#[test]
fn a_wrong_key_address_or_access_number_leaves_zeros() {
    for Mode5 {
        key,
        address,
        access_number,
        data,
        ..
    } in MODE_5
    {
        let mut other_key = key;
        other_key[15] ^= 1;
        let mut other_address = address;
        other_address[1] ^= 0x80;
        for (key, address, number) in [
            (other_key, address, access_number),
            (key, other_address, access_number),
        ] {
            let mut buffer = data.to_vec();
            let opened = open_cbc_mode5(&key.into(), address, number, &mut buffer);
            assert_eq!(opened, Err(CbcError::CheckOctets));
            assert!(buffer.iter().all(|octet| *octet == 0));
        }
        // The access number is in the latter half of the vector only: the check octets stay right.
        let mut buffer = data.to_vec();
        open_cbc_mode5(&key.into(), address, access_number ^ 1, &mut buffer).unwrap();
        assert_eq!(buffer[..2], CHECK_OCTETS);
    }
}

#[test]
fn every_flipped_bit_of_a_first_block_is_found_out_by_the_check_octets() {
    let Mode5 {
        key,
        address,
        access_number,
        data,
        ..
    } = &MODE_5[0];
    let key = Key128::from(*key);
    for bit in 0..128 {
        let mut buffer = data.to_vec();
        buffer[bit / 8] ^= 1 << (bit % 8);
        let opened = open_cbc_mode5(&key, *address, *access_number, &mut buffer);
        assert_eq!(opened, Err(CbcError::CheckOctets), "bit {bit}");
        assert!(buffer.iter().all(|octet| *octet == 0));
    }
}

#[test]
fn only_one_or_more_whole_blocks_are_encrypted_data() {
    let key = Key128::from(COUNTING);
    for octets in (0..70).filter(|octets| *octets == 0 || octets % 16 != 0) {
        let mut buffer = vec![7; octets];
        let length = LengthError { octets };
        assert_eq!(seal_cbc_mode7(&key, &mut buffer), Err(length));
        assert_eq!(buffer, vec![7; octets]);
        assert_eq!(
            open_cbc_mode7(&key, &mut buffer),
            Err(CbcError::Length(length))
        );
        assert_eq!(buffer, vec![0; octets]);
    }
}

/// The keys of CEN/TR 17167, F.3; those of a downlink from the project's reference, computed apart
/// from this code; that of wmbusmeters issue 1667.
#[test]
fn kdf_a_gives_the_published_keys() {
    let key = Key128::from(COUNTING);
    let id = hex!("78563412");
    for (derivation, counter, derived) in [
        (
            Derivation::Kenc,
            hex!("B30A0000"),
            hex!("ECCF39D475D730B8284FDFDC1995D52F"),
        ),
        (
            Derivation::Kmac,
            hex!("B30A0000"),
            hex!("C9CD19FF5A9AAD5A6BBDA13BD2C4C7AD"),
        ),
        (
            Derivation::Lenc,
            hex!("B40A0000"),
            hex!("e87ad9fb793eccf8cd0747bfef0116cf"),
        ),
        (
            Derivation::Lmac,
            hex!("B40A0000"),
            hex!("653cf60815521057086241d15a49698d"),
        ),
    ] {
        assert_eq!(kdf_a(&key, derivation, counter, id), derived.into());
    }
    let water = kdf_a(
        &Key128::from(KAMSTRUP),
        Derivation::Kenc,
        hex!("8C570E00"),
        hex!("06038253"),
    );
    assert_eq!(water, hex!("B3FAAED774AD70EAA3135A5B31242D13").into());
}

/// CEN/TR 17167, F.3: transport headers and MACs with integrated radio and with a radio adapter.
const F_3_HEADERS: [(&[u8], [u8; 8]); 2] = [
    (&hex!("7A7500200710"), hex!("21924D4F2FB66E01")),
    (
        &hex!("727856341293153303 7500200710"),
        hex!("AF5D74DF73A600D9"),
    ),
];

#[test]
fn published_telegrams_of_mode_7_verify_open_and_seal_again() {
    let meter = KdfKey::new(&Key128::from(COUNTING));
    let (counter, id) = (hex!("B30A0000"), hex!("78563412"));
    let kmac = meter.derive(Derivation::Kmac, counter, id);
    for (header, mac) in F_3_HEADERS {
        let parts: [&[u8]; 4] = [&[0x25], &counter, header, &F_3];
        assert_eq!(verify_afl_mac(&kmac, &parts, &mac), Ok(()));
        assert_eq!(afl_mac(&kmac, &parts)[..8], mac);
    }
    let kenc = meter.derive(Derivation::Kenc, counter, id);
    let mut buffer = F_3;
    open_cbc_mode7(&kenc, &mut buffer).unwrap();
    assert_eq!(buffer, GAS);
    seal_cbc_mode7(&kenc, &mut buffer).unwrap();
    assert_eq!(buffer, F_3);
    assert_eq!(
        open_cbc_mode7(&kmac, &mut buffer),
        Err(CbcError::CheckOctets)
    );
    assert_eq!(buffer, [0; 32]);
}

#[test]
fn a_mac_of_any_listed_length_verifies_and_no_other_and_no_flipped_bit() {
    let kmac = Key128::from(COUNTING);
    let parts: [&[u8]; 2] = [b"octets", b"that are authenticated"];
    let whole = afl_mac(&kmac, &parts);
    for length in 0..=17 {
        let mut mac = whole.to_vec();
        mac.resize(length, 0);
        if ![2, 4, 8, 12, 16].contains(&length) {
            assert_eq!(
                verify_afl_mac(&kmac, &parts, &mac),
                Err(AflMacError::Length(length))
            );
            continue;
        }
        assert_eq!(verify_afl_mac(&kmac, &parts, &mac), Ok(()));
        for bit in 0..length * 8 {
            let mut wrong = mac.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                verify_afl_mac(&kmac, &parts, &wrong),
                Err(AflMacError::Mismatch(MacMismatch))
            );
        }
    }
}

struct Mode10 {
    aad: [u8; 7],
    counter: u32,
    data: &'static [u8],
    tag: CcmTag,
    start: &'static [u8],
}

/// Both telegrams of wmbusmeters issue 1667.
const MODE_10: [Mode10; 2] = [
    Mode10 {
        aad: hex!("7A3010FF2A1001"),
        counter: 0x000E_578C,
        data: &hex!("6DA7632471F42B0A3CECCD461353573ED02B87118BC5FFE982F7F00A0274543B"
            "C51938F8B9C8"),
        tag: hex!("BB8928114D60788A"),
        start: &hex!("046D1C2A2F3C04150000000002FF25010406FF1BFFFFFFFFFFFF446D0020213C"
            "441500000000"),
    },
    Mode10 {
        aad: hex!("7a8010ff2a1001"),
        counter: 0x000D_2EDC,
        data: &hex!("cf1a85672e138d6c0af61338403fdeb528ab264e2c61e41b06073550aa296ae9"
            "815c8a7a9868"),
        tag: hex!("ec6c624cfbbcecb3"),
        start: &hex!("046d3628213c0415"),
    },
];
const WATER: [u8; 8] = hex!("372C060382533C16");

fn water_key(counter: u32) -> Key128 {
    let key = Key128::from(KAMSTRUP);
    kdf_a(
        &key,
        Derivation::Kenc,
        counter.to_le_bytes(),
        hex!("06038253"),
    )
}

#[test]
fn published_telegrams_of_mode_10_open_and_seal_again() {
    for Mode10 {
        aad,
        counter,
        data,
        tag,
        start,
    } in MODE_10
    {
        let kenc = water_key(counter);
        let mut buffer = data.to_vec();
        open_ccm(&kenc, WATER, counter, &aad, &mut buffer, &tag).unwrap();
        assert!(buffer.starts_with(start), "{buffer:02X?}");
        assert_eq!(seal_ccm(&kenc, WATER, counter, &aad, &mut buffer), Ok(tag));
        assert_eq!(buffer, data);
    }
}

#[test]
fn no_bit_of_a_telegram_of_mode_10_can_be_flipped() {
    let Mode10 {
        aad,
        counter,
        data,
        tag,
        ..
    } = &MODE_10[1];
    let kenc = water_key(*counter);
    let octets = aad.len() + data.len() + tag.len();
    for bit in 0..octets * 8 {
        let mut all = [&aad[..], data, tag].concat();
        all[bit / 8] ^= 1 << (bit % 8);
        let (aad, rest) = all.split_at_mut(aad.len());
        let (data, tag) = rest.split_at_mut(data.len());
        let tag = &(*tag).try_into().unwrap();
        assert_eq!(
            open_ccm(&kenc, WATER, *counter, aad, data, tag),
            Err(MacMismatch)
        );
        assert!(data.iter().all(|octet| *octet == 0));
    }
    for (key, address, number) in [
        (water_key(*counter + 1), WATER, *counter),
        (water_key(*counter), [0; 8], *counter),
        (water_key(*counter), WATER, *counter + 1),
    ] {
        let opened = open_ccm(&key, address, number, aad, &mut data.to_vec(), tag);
        assert_eq!(opened, Err(MacMismatch));
    }
}

struct Link {
    key: [u8; 16],
    address: [u8; 8],
    cc: u8,
    session: [u8; 4],
    data: &'static [u8],
}

/// Two Kamstrup meters, published with their keys.
const LINKS: [Link; 2] = [
    Link {
        key: hex!("0102030405060708090A0B0C0D0E0F10"),
        address: hex!("2D2C113134273302"),
        cc: 0x20,
        session: hex!("603A1020"),
        data: &hex!("08C67C819AAE99B4DE753AA136EF64917ED9D8B2E2D35840BDEA173B8FE14CCE"
            "3F1406B7CF"),
    },
    Link {
        key: hex!("4E5508544202058100DFEFA06B0934A5"),
        address: hex!("2D2C692845631B16"),
        cc: 0x30,
        session: hex!("209CD621"),
        data: &hex!("B006B1140AEF4953AE5B86FAFC0B00E70705B846"),
    },
];

#[test]
fn encrypted_links_decrypt_to_a_right_payload_crc_and_encrypt_again() {
    for Link {
        key,
        address,
        cc,
        session,
        data,
    } in LINKS
    {
        let key = Key128::from(key);
        let mut buffer = data.to_vec();
        assert!(!ell_check(&buffer));
        ell_ctr(&key, address, cc, session, &mut buffer);
        assert!(ell_check(&buffer));
        // A compact or full frame of transport without header.
        assert!(matches!(buffer[2], 0x78 | 0x79), "{buffer:02X?}");
        ell_ctr(&key, address, cc, session, &mut buffer);
        assert_eq!(buffer, data);
        // A repeater changes H and R.
        ell_ctr(&key, address, cc ^ 0x12, session, &mut buffer);
        assert!(ell_check(&buffer));
    }
}

#[test]
fn a_wrong_key_session_or_flipped_bit_breaks_the_payload_crc() {
    for Link {
        key,
        address,
        cc,
        session,
        data,
    } in LINKS
    {
        let broken = |key: [u8; 16], session, flip: Option<usize>| {
            let mut buffer = data.to_vec();
            if let Some(bit) = flip {
                buffer[bit / 8] ^= 1 << (bit % 8);
            }
            ell_ctr(&key.into(), address, cc, session, &mut buffer);
            !ell_check(&buffer)
        };
        let [a, b, c, d] = session;
        let mut other_key = key;
        other_key[0] ^= 1;
        assert!(broken(other_key, session, None));
        assert!(broken(key, [a ^ 1, b, c, d], None));
        assert!((0..data.len() * 8).all(|bit| broken(key, session, Some(bit))));
        assert!(!broken(key, session, None));
    }
    assert!(!ell_check(&[]) && !ell_check(&[0xFF]));
}

/// Against single blocks of the cipher, over a carry and over more blocks than go through it at
/// once.
#[test]
fn the_counter_block_counts_over_its_last_three_octets_and_any_cut_gives_the_same_stream() {
    let key = Key128::from(COUNTING);
    let stream = |octets: usize| {
        let mut data = vec![0; octets];
        ell_ctr(&key, WATER, 0x20, [1, 2, 3, 4], &mut data);
        data
    };
    let whole = stream(300 * 16);
    assert!((0..260).all(|octets| stream(octets) == whole[..octets]));
    let block = |number: u128| {
        let first = hex!("372C060382533C16 20 01020304 000000");
        let counter = u128::from_be_bytes(first) + number;
        let mut block = counter.to_be_bytes();
        seal_cbc_mode7(&key, &mut block).unwrap();
        block
    };
    assert_eq!(whole[255 * 16..256 * 16], block(255));
    assert_eq!(whole[256 * 16..257 * 16], block(256));
}
