use hex_literal::hex;

use super::*;

fn ccm() -> CcmKey {
    CcmKey::new(&hex!("404142434445464748494a4b4c4d4e4f").into())
}

/// NIST SP 800-38C, example 3: 12-octet nonce, 8-octet tag, 20 octets of additional data.
#[test]
fn sp_800_38c_example_3_holds() {
    let nonce = hex!("101112131415161718191a1b");
    let aad = hex!("000102030405060708090a0b0c0d0e0f10111213");
    let plain = hex!("202122232425262728292a2b2c2d2e2f3031323334353637");
    let mut buffer = plain;
    let tag = ccm().seal_in_place(&nonce, &aad, &mut buffer).unwrap();
    assert_eq!(
        buffer,
        hex!("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5")
    );
    assert_eq!(tag, hex!("484392fbc1b09951"));
    assert_eq!(ccm().open_in_place(&nonce, &aad, &mut buffer, &tag), Ok(()));
    assert_eq!(buffer, plain);
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13 to 16.
#[test]
fn gcm_specification_aes_256_cases_hold() {
    let zero_key = GcmKey::new(&[0; 32].into());
    let tag = zero_key.seal_in_place(&[0; 12], &[], &mut []).unwrap();
    assert_eq!(tag, hex!("530f8afbc74536b9a963b4f1c4cb738b"));

    let mut block = [0; 16];
    let tag = zero_key.seal_in_place(&[0; 12], &[], &mut block).unwrap();
    assert_eq!(block, hex!("cea7403d4d606b6e074ec5d3baf39d18"));
    assert_eq!(tag, hex!("d0d1c8a799996bf0265b98b5d48ab919"));

    let key = GcmKey::new(
        &hex!("feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308").into(),
    );
    let nonce = hex!("cafebabefacedbaddecaf888");
    let plain = hex!(
        "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b391aafd255"
    );
    let cipher = hex!(
        "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662898015ad"
    );
    let mut buffer = plain;
    let tag = key.seal_in_place(&nonce, &[], &mut buffer).unwrap();
    assert_eq!(buffer, cipher);
    assert_eq!(tag, hex!("b094dac5d93471bdec1a502270e3cc6c"));

    let aad = hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let mut buffer: [u8; 60] = plain[..60].try_into().unwrap();
    let tag = key.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
    assert_eq!(buffer, cipher[..60]);
    assert_eq!(tag, hex!("76fc6ece0f4e1768cddf8853bb2d551b"));
    assert_eq!(key.open_in_place(&nonce, &aad, &mut buffer, &tag), Ok(()));
    assert_eq!(buffer, plain[..60]);
}

/// Changes every bit of nonce, additional data, ciphertext and tag, and cuts the ciphertext.
macro_rules! tamper_test {
    ($name:ident, $key:expr, $other:expr) => {
        #[test]
        fn $name() {
            let key = $key;
            let (nonce, aad, plain) = ([5_u8; 12], [6_u8; 23], [7_u8; 41]);
            let mut sealed = plain;
            let tag = key.seal_in_place(&nonce, &aad, &mut sealed).unwrap();

            let check = |nonce: &[u8; 12], aad: &[u8], cipher: &[u8], tag: &_| {
                let mut buffer = cipher.to_vec();
                let opened = key.open_in_place(nonce, aad, &mut buffer, tag);
                assert_eq!(opened, Err(MacMismatch));
                assert!(
                    buffer.iter().all(|octet| *octet == 0),
                    "the buffer is not wiped"
                );
            };
            let flip = |octets: &mut [u8], bit: usize| octets[bit / 8] ^= 1 << (bit % 8);
            for bit in 0..nonce.len() * 8 {
                let mut wrong = nonce;
                flip(&mut wrong, bit);
                check(&wrong, &aad, &sealed, &tag);
            }
            for bit in 0..aad.len() * 8 {
                let mut wrong = aad;
                flip(&mut wrong, bit);
                check(&nonce, &wrong, &sealed, &tag);
            }
            for bit in 0..sealed.len() * 8 {
                let mut wrong = sealed;
                flip(&mut wrong, bit);
                check(&nonce, &aad, &wrong, &tag);
            }
            for bit in 0..tag.len() * 8 {
                let mut wrong = tag;
                flip(&mut wrong, bit);
                check(&nonce, &aad, &sealed, &wrong);
            }
            for octets in 0..sealed.len() {
                check(&nonce, &aad, &sealed[..octets], &tag);
            }
            for octets in 0..aad.len() {
                check(&nonce, &aad[..octets], &sealed, &tag);
            }

            let mut buffer = sealed;
            assert_eq!(
                $other.open_in_place(&nonce, &aad, &mut buffer, &tag),
                Err(MacMismatch)
            );
            assert_eq!(buffer, [0; 41]);
            let mut buffer = sealed;
            assert_eq!(key.open_in_place(&nonce, &aad, &mut buffer, &tag), Ok(()));
            assert_eq!(buffer, plain);
        }
    };
}

tamper_test!(
    ccm_refuses_any_change_and_wipes,
    ccm(),
    CcmKey::new(&[1; 16].into())
);
tamper_test!(
    gcm_refuses_any_change_and_wipes,
    GcmKey::new(&[2; 32].into()),
    GcmKey::new(&[3; 32].into())
);

#[test]
fn keys_print_nothing() {
    assert_eq!(format!("{:?}", ccm()), "CcmKey([redacted])");
    assert_eq!(
        format!("{:?}", GcmKey::new(&[2; 32].into())),
        "GcmKey([redacted])"
    );
}
