//! The key schedule and the ciphers against the vectors of the specification, and against change.

use hex_literal::hex;

use super::*;
use crate::crypto::MacMismatch;
use crate::crypto::cmac::CmacKey;
use crate::crypto::kdf;
use crate::crypto::key::{BaseKey, Command, KeyEncryption, KeyOctets, Link, Master};
use crate::crypto::keywrap::KeyWrapKey;

const OWNER: KeyOwner = KeyOwner {
    utility: hex!("a1b2c3d4e5f60718"),
    identity: hex!("00000002dfdc1c35"),
};
const KDF_VECTORS: &str = include_str!("../../../protocol-spec/vectors/otl/kdf.toml");
const ANSWER_VECTORS: &str = include_str!("../../../protocol-spec/vectors/otl/answer.toml");
const COMMAND_VECTORS: &str = include_str!("../../../protocol-spec/vectors/otl/commands.toml");

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn vectors(text: &str) -> Vec<toml::Table> {
    let file: toml::Table = text.parse().unwrap();
    let list = file["vector"].as_array().unwrap().iter();
    list.map(|vector| vector.as_table().unwrap().clone())
        .collect()
}

fn field(vector: &toml::Table, name: &str) -> Option<Vec<u8>> {
    vector.get(name).map(|value| unhex(value.as_str().unwrap()))
}

fn key(octets: &[u8]) -> KeyOctets {
    KeyOctets::from_slice(octets).unwrap()
}

/// Every derivation of the vectors, octets and result: KEY-1 to KEY-4.
// spec: KEY-1, KEY-2, KEY-3, KEY-4
#[test]
fn every_derivation_of_the_vectors_holds() {
    let mut checked = 0;
    for vector in vectors(KDF_VECTORS) {
        let (Some(master), Some(context)) = (field(&vector, "master"), field(&vector, "context"))
        else {
            continue;
        };
        let label = vector["label"].as_str().unwrap().as_bytes();
        let length = match vector["bits"].as_integer().unwrap() {
            128 => KeyLength::Short,
            256 => KeyLength::Long,
            bits => panic!("{bits}"),
        };
        let output = field(&vector, "output").unwrap();
        let derived = kdf::derive(&CmacKey::new(&key(&master)), label, [&context, &[]], length);
        assert_eq!(derived, key(&output), "{}", vector["name"]);
        checked += 1;
    }
    assert!(checked >= 20, "{checked} derivations in the vectors");
}

/// KEY-3: a base key by the typed way is that of the vectors, for each purpose and length.
// spec: KEY-3
#[test]
fn base_keys_of_each_purpose_are_those_of_the_vectors() {
    let mut checked = 0;
    for vector in vectors(KDF_VECTORS) {
        if vector.get("label").and_then(|label| label.as_str()) != Some("OTL1 base") {
            continue;
        }
        let context = field(&vector, "context").unwrap();
        let owner = KeyOwner {
            utility: context[..8].try_into().unwrap(),
            identity: context[8..16].try_into().unwrap(),
        };
        let (purpose, version) = (context[16], context[17]);
        let master = key(&field(&vector, "master").unwrap());
        let output = key(&field(&vector, "output").unwrap());
        let derived = match purpose {
            1 => Master::<Link>::new(master).derive_base(owner, version) == BaseKey::import(output),
            2 => {
                Master::<Command>::new(master).derive_base(owner, version)
                    == BaseKey::import(output)
            }
            _ => {
                Master::<KeyEncryption>::new(master).derive_base(owner, version)
                    == BaseKey::import(output)
            }
        };
        assert!(derived, "{}", vector["name"]);
        checked += 1;
    }
    assert!(checked >= 6);
}

/// ROT-1: wraps of the vectors, both ways.
// spec: ROT-1
#[test]
fn wrapped_keys_are_those_of_the_vectors() {
    let mut checked = 0;
    for vector in vectors(KDF_VECTORS) {
        let Some(wrapped) = field(&vector, "wrapped") else {
            continue;
        };
        let wrap_key = KeyWrapKey::new(&key(&field(&vector, "wrap_key").unwrap()));
        let new = BaseKey::<Link>::import(key(&field(&vector, "new_key").unwrap()));
        assert_eq!(new.wrap_under(&wrap_key).as_octets(), wrapped);
        assert_eq!(BaseKey::import(wrap_key.unwrap(&wrapped).unwrap()), new);
        checked += 1;
    }
    assert!(checked >= 2);
}

const LINK_MASTER: [u8; 16] = hex!("abb00b275cc392379c5d7732e16a2606");
const LONG_MASTER: [u8; 32] =
    hex!("84159b20c4f4c983dc3da89f451af74188634efa2666c44d189dfbb4a243b751");

/// A terminal of the vectors in each mode: link key, version, identity.
fn vector_link_key(mode: AeadMode) -> LinkKey {
    let (owner, master, version) = match mode {
        AeadMode::CcmStatic => (OWNER, key(&LINK_MASTER), 2),
        AeadMode::CcmSession => (
            KeyOwner {
                identity: hex!("0000000533e80035"),
                ..OWNER
            },
            key(&LINK_MASTER),
            2,
        ),
        AeadMode::GcmSession => (
            KeyOwner {
                utility: hex!("0f1e2d3c4b5a6978"),
                identity: hex!("0000000787f3e435"),
            },
            key(&LONG_MASTER),
            1,
        ),
    };
    let base = Master::<Link>::new(master).derive_base(owner, version);
    LinkKey::new(&base, owner, mode, version).unwrap()
}

fn nonces_of(header: &[u8]) -> SessionNonces {
    SessionNonces {
        terminal_nonce: header
            .get(23..31)
            .map_or([0; 8], |nonce| nonce.try_into().unwrap()),
        ticket: header[15..23].try_into().unwrap(),
    }
}

/// Cuts a frame into header, ciphertext and tag.
fn cut(frame: &[u8], header_octets: usize, mode: AeadMode) -> (&[u8], Vec<u8>, &[u8]) {
    let (rest, tag) = frame.split_at(frame.len() - mode.tag_octets());
    let (header, cipher) = rest.split_at(header_octets);
    (header, cipher.to_vec(), tag)
}

/// SEC-6, SEC-7, NON-1: uplinks and answers of the vectors open in every mode, and sealing them
/// again gives the same octets.
// spec: SEC-6, SEC-7, NON-1
#[test]
fn uplinks_and_answers_of_the_vectors_open_and_seal_again() {
    let mut opened = [0; 4];
    for vector in vectors(COMMAND_VECTORS)
        .into_iter()
        .chain(vectors(ANSWER_VECTORS))
    {
        let (Some(frame), Some(uplink)) = (field(&vector, "hex"), field(&vector, "uplink")) else {
            continue;
        };
        let Some(mode) = AeadMode::from_code(uplink[1] >> 5) else {
            continue;
        };
        let link = vector_link_key(mode);
        if frame[0] != 0x19
            || uplink[3..11] != link_identity(mode)
            || uplink[2] != link.key_version()
        {
            continue;
        }
        let (header, mut buffer, tag) = cut(&uplink, mode.uplink_header_octets(), mode);
        let cipher = link.uplink_cipher(nonces_of(header));
        assert_eq!(
            cipher.open(header, &mut buffer, tag),
            Ok(()),
            "{}",
            vector["name"]
        );
        assert_eq!(cipher.seal(header, &mut buffer).unwrap().as_octets(), tag);

        let answered = AnsweredFrame { header, tag };
        let (answer_header, mut buffer, answer_tag) = cut(&frame, ANSWER_HEADER_OCTETS, mode);
        let cipher = link.answer_cipher(nonces_of(header));
        assert_eq!(
            cipher.open(answer_header, answered, &mut buffer, answer_tag),
            Ok(()),
            "{}",
            vector["name"]
        );
        assert_eq!(
            cipher
                .seal(answer_header, answered, &mut buffer)
                .unwrap()
                .as_octets(),
            answer_tag
        );
        opened[usize::from(mode.code())] += 1;
    }
    assert!(opened[1..].iter().all(|count| *count >= 2), "{opened:?}");
}

fn link_identity(mode: AeadMode) -> [u8; 8] {
    match mode {
        AeadMode::CcmStatic => OWNER.identity,
        AeadMode::CcmSession => hex!("0000000533e80035"),
        AeadMode::GcmSession => hex!("0000000787f3e435"),
    }
}

/// SEC-8: the call tags of the vectors, `call.toml`.
// spec: SEC-8
#[test]
fn call_tags_are_those_of_the_vectors_and_any_other_is_refused() {
    for (mode, frame) in [
        (
            AeadMode::CcmStatic,
            &hex!("1b200200000002dfdc1c356b36ecf87d29decc40a77cf1")[..],
        ),
        (
            AeadMode::CcmSession,
            &hex!("1b40020000000533e800356b36ecf898c9c94873ade63d")[..],
        ),
        (
            AeadMode::GcmSession,
            &hex!("1b60010000000787f3e4356b36ecf8ecaf515b1efcfef59dc8ad049d51144d")[..],
        ),
    ] {
        let (header, tag) = frame.split_first_chunk::<CALL_HEADER_OCTETS>().unwrap();
        let call = vector_link_key(mode).call_key();
        assert_eq!(call.tag(header).as_octets(), tag);
        assert_eq!(call.verify(header, tag), Ok(()));
        for octets in 0..tag.len() {
            assert_eq!(call.verify(header, &tag[..octets]), Err(MacMismatch));
        }
        for bit in 0..frame.len() * 8 {
            let mut wrong = frame.to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let (header, tag) = wrong.split_first_chunk::<CALL_HEADER_OCTETS>().unwrap();
            assert_eq!(call.verify(header, tag), Err(MacMismatch));
        }
    }
}

/// KEY-5.
// spec: KEY-5
#[test]
fn mode_3_is_refused_with_a_base_key_of_16_octets() {
    let short = BaseKey::<Link>::import(key(&[1; 16]));
    let long = BaseKey::<Link>::import(key(&[1; 32]));
    assert_eq!(
        LinkKey::new(&short, OWNER, AeadMode::GcmSession, 1).unwrap_err(),
        KeyTooShort
    );
    for mode in AeadMode::ALL {
        assert!(LinkKey::new(&long, OWNER, mode, 1).is_ok());
    }
}

/// A header of the right length for each frame kind, with an identity, a counter and a ticket.
fn uplink_header(mode: AeadMode) -> Vec<u8> {
    let octets = u8::try_from(mode.uplink_header_octets()).unwrap();
    (0..octets).map(|octet| octet ^ 0x5A).collect()
}

/// SEC-5, SEC-6: each changed bit of an uplink is refused, and nothing of the plaintext is left.
// spec: SEC-5, SEC-6
#[test]
fn every_changed_bit_of_an_uplink_is_refused_and_the_buffer_wiped() {
    for mode in AeadMode::ALL {
        let link = vector_link_key(mode);
        let header = uplink_header(mode);
        let cipher = link.uplink_cipher(nonces_of(&header));
        let mut sealed = [0x33; 40];
        let tag = cipher.seal(&header, &mut sealed).unwrap();
        let frame = [&header[..], &sealed, tag.as_octets()].concat();
        for bit in 0..frame.len() * 8 {
            let mut wrong = frame.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let (header, mut buffer, tag) = cut(&wrong, header.len(), mode);
            assert_eq!(
                cipher.open(header, &mut buffer, tag),
                Err(OpenError::TagMismatch)
            );
            assert!(buffer.iter().all(|octet| *octet == 0));
        }
    }
}

/// SEC-7: an answer fits exactly one uplink.
// spec: SEC-7
#[test]
fn every_changed_bit_of_an_answer_or_its_uplink_is_refused() {
    for mode in AeadMode::ALL {
        let link = vector_link_key(mode);
        let uplink = uplink_header(mode);
        let uplink_tag = vec![0x77; mode.tag_octets()];
        let answered = AnsweredFrame {
            header: &uplink,
            tag: &uplink_tag,
        };
        let cipher = link.answer_cipher(nonces_of(&uplink));
        let header = [9_u8; ANSWER_HEADER_OCTETS];
        let mut sealed = [0x33; 3];
        let tag = cipher.seal(&header, answered, &mut sealed).unwrap();
        let all = [&header[..], &uplink, &uplink_tag, &sealed, tag.as_octets()].concat();
        for bit in 0..all.len() * 8 {
            let mut wrong = all.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let (header, rest) = wrong.split_at(header.len());
            let (uplink, rest) = rest.split_at(uplink.len());
            let (uplink_tag, rest) = rest.split_at(uplink_tag.len());
            let (sealed, tag) = rest.split_at(sealed.len());
            let answered = AnsweredFrame {
                header: uplink,
                tag: uplink_tag,
            };
            let mut buffer = sealed.to_vec();
            let opened = cipher.open(header, answered, &mut buffer, tag);
            assert_eq!(opened, Err(OpenError::TagMismatch));
            assert_eq!(buffer, [0; 3]);
        }
    }
}

/// The header, the answered frame or the tag of another length is a mistake of the caller, not a
/// wrong tag, and leaves the buffer alone.
#[test]
fn other_lengths_of_header_and_tag_are_refused_untouched() {
    for mode in AeadMode::ALL {
        let link = vector_link_key(mode);
        let header = uplink_header(mode);
        let cipher = link.uplink_cipher(nonces_of(&header));
        let mut buffer = [4; 20];
        let tag = vec![0; mode.tag_octets()];
        for octets in (0..64).filter(|octets| *octets != header.len()) {
            let wrong = vec![0; octets];
            assert_eq!(
                cipher.open(&wrong, &mut buffer, &tag),
                Err(OpenError::Shape)
            );
            assert_eq!(cipher.seal(&wrong, &mut buffer), Err(SealError::Shape));
            let answered = AnsweredFrame {
                header: &wrong,
                tag: &tag,
            };
            let answer = link.answer_cipher(SessionNonces::default());
            assert_eq!(
                answer.seal(&[0; 14], answered, &mut buffer),
                Err(SealError::Shape)
            );
        }
        for octets in (0..32).filter(|octets| *octets != tag.len()) {
            assert_eq!(
                cipher.open(&header, &mut buffer, &vec![0; octets]),
                Err(OpenError::Shape)
            );
        }
        assert_eq!(buffer, [4; 20]);
    }
}

/// KEY-4: RESYNC and its answer, NON-1 with counter 0.
// spec: KEY-4, NON-1
#[test]
fn resync_and_its_answer_open_under_their_own_keys_only() {
    for mode in AeadMode::ALL {
        let link = vector_link_key(mode);
        let header = [6_u8; RESYNC_HEADER_OCTETS];
        let (cipher, other) = (link.resync_cipher([1; 16]), link.resync_cipher([2; 16]));
        let mut buffer = *b"report";
        let tag = cipher.seal(&header, &mut buffer).unwrap();
        let sealed = buffer;
        assert_eq!(
            other.open(&header, &mut buffer, tag.as_octets()),
            Err(OpenError::TagMismatch)
        );
        buffer = sealed;
        assert_eq!(cipher.open(&header, &mut buffer, tag.as_octets()), Ok(()));
        assert_eq!(&buffer, b"report");

        let answered = AnsweredFrame {
            header: &header,
            tag: tag.as_octets(),
        };
        let answer = link.resync_answer_cipher([1; 16]);
        let answer_header = [8; RESYNC_ANSWER_HEADER_OCTETS];
        let mut floor = [0, 0, 4, 1];
        let answer_tag = answer.seal(&answer_header, answered, &mut floor).unwrap();
        assert_eq!(
            answer.open(&answer_header, answered, &mut floor, answer_tag.as_octets()),
            Ok(())
        );
        assert_eq!(floor, [0, 0, 4, 1]);
    }
}

/// KEY-2, KEY-4: no two rows of the table, owners, versions, modes or nonces share a key.
// spec: KEY-2, KEY-4
#[test]
fn every_part_of_the_context_separates_keys() {
    let seal = |link: &LinkKey, nonces: SessionNonces| {
        let mut buffer = [0; 16];
        let header = vec![0; link.mode().uplink_header_octets()];
        link.uplink_cipher(nonces)
            .seal(&header, &mut buffer)
            .unwrap();
        buffer
    };
    let base = BaseKey::<Link>::import(key(&[1; 32]));
    let link = |owner, mode, version| LinkKey::new(&base, owner, mode, version).unwrap();
    let other_utility = KeyOwner {
        utility: [0; 8],
        ..OWNER
    };
    let other_identity = KeyOwner {
        identity: [0; 8],
        ..OWNER
    };
    let none = SessionNonces::default();
    let nonce = SessionNonces {
        terminal_nonce: [1; 8],
        ..none
    };
    let ticket = SessionNonces {
        ticket: [1; 8],
        ..none
    };
    let session = AeadMode::CcmSession;
    let mut streams = vec![
        seal(&link(OWNER, session, 1), none),
        seal(&link(OWNER, session, 2), none),
        seal(&link(other_utility, session, 1), none),
        seal(&link(other_identity, session, 1), none),
        seal(&link(OWNER, AeadMode::CcmStatic, 1), none),
        seal(&link(OWNER, AeadMode::GcmSession, 1), none),
        seal(&link(OWNER, session, 1), nonce),
        seal(&link(OWNER, session, 1), ticket),
    ];
    // Mode 1 has no nonces in its context.
    let fixed = link(OWNER, AeadMode::CcmStatic, 1);
    assert_eq!(seal(&fixed, nonce), seal(&fixed, ticket));
    let total = streams.len();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!(streams.len(), total);
}

/// The MAC of the command item, read out of an answer of the vectors.
#[test]
fn command_macs_are_those_of_the_vectors() {
    let mut checked = 0;
    for vector in vectors(COMMAND_VECTORS) {
        let (Some(frame), Some(uplink), Some(command_key)) = (
            field(&vector, "hex"),
            field(&vector, "uplink"),
            field(&vector, "command_key"),
        ) else {
            continue;
        };
        let mode = AeadMode::from_code(uplink[1] >> 5).unwrap();
        let link = vector_link_key(mode);
        let (header, _, tag) = cut(&uplink, mode.uplink_header_octets(), mode);
        let (answer_header, mut plain, answer_tag) = cut(&frame, ANSWER_HEADER_OCTETS, mode);
        let cipher = link.answer_cipher(nonces_of(header));
        cipher
            .open(
                answer_header,
                AnsweredFrame { header, tag },
                &mut plain,
                answer_tag,
            )
            .unwrap();
        // Flags, map, then a COMMAND item whose length fits one octet.
        assert_eq!(plain[3], 0x85, "{}", vector["name"]);
        let body = &plain[5..5 + usize::from(plain[4])];
        let (head, rest) = body.split_at(COMMAND_HEAD_OCTETS);
        let (parameters, mac) = rest.split_at(rest.len() - 16);
        let input = CommandInput {
            identity: uplink[3..11].try_into().unwrap(),
            head: CommandHead {
                key_version: head[0],
                sequence: u32::from_be_bytes(head[1..5].try_into().unwrap()),
                kind: head[5],
                meter: head[6],
                precondition: head[7] & 0x7F,
                not_after_utc_s: u32::from_be_bytes(head[8..12].try_into().unwrap()),
            },
            parameters,
            bound_to: (head[7] & 0x80 != 0).then_some(AnsweredUplink {
                server_nonce: answer_header[6..14].try_into().unwrap(),
                header,
                tag,
            }),
        };
        assert_eq!(input.head.to_octets(input.bound_to.is_some()), *head);
        let key = CommandKey(CmacKey::new(&key(&command_key)));
        let mac = CommandMac(mac.try_into().unwrap());
        assert_eq!(key.mac(&input), Ok(mac), "{}", vector["name"]);
        assert_eq!(key.verify(&input, &mac), Ok(()));
        checked += 1;
    }
    assert!(checked >= 12, "{checked} commands in the vectors");
}

/// KEY-4: the command and result keys of the vectors' first terminal, by the typed way.
// spec: KEY-4
#[test]
fn command_and_result_keys_differ_by_direction() {
    let master = Master::<Command>::new(key(&hex!("25843a3320659611d610734fa28ed97f")));
    let base = master.derive_base(OWNER, 1);
    let expected = CommandKey(CmacKey::new(&key(&hex!(
        "45b5534e14de15862c68e34291ea648b"
    ))));
    let input = CommandInput {
        identity: OWNER.identity,
        head: CommandHead {
            key_version: 1,
            sequence: 1,
            kind: 0x20,
            meter: 0,
            precondition: 0,
            not_after_utc_s: u32::MAX,
        },
        parameters: &[],
        bound_to: None,
    };
    assert_eq!(base.command_key(OWNER, 1).mac(&input), expected.mac(&input));

    let result = ResultInput {
        identity: OWNER.identity,
        store_epoch: 1,
        record_sequence: 2,
        record_type: 6,
        body: b"body",
    };
    let expected = ResultKey(CmacKey::new(&key(&hex!(
        "6da7a7ccbea109a53610613ff80a576c"
    ))));
    let mac = expected.mac(&result);
    assert_eq!(base.result_key(OWNER, 1).verify(&result, &mac), Ok(()));
    assert_eq!(
        base.result_key(OWNER, 2).verify(&result, &mac),
        Err(MacMismatch)
    );
}

/// CMD-14: the input is the string that the clause gives.
// spec: CMD-14
#[test]
fn the_result_mac_covers_every_field_of_its_clause() {
    let cmac = || CmacKey::new(&key(&[5; 16]));
    let input = ResultInput {
        identity: OWNER.identity,
        store_epoch: 0x0102_0304,
        record_sequence: 0x0506_0708,
        record_type: 9,
        body: b"body",
    };
    let written_out = [
        b"OTL1 res",
        &OWNER.identity[..],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        b"body",
    ]
    .concat();
    assert_eq!(ResultKey(cmac()).mac(&input), cmac().mac(&[&written_out]));
}

const BOUND_TO: AnsweredUplink<'_> = AnsweredUplink {
    server_nonce: [1; 8],
    header: &[2; 23],
    tag: &[3; 8],
};
const HEAD: CommandHead = CommandHead {
    key_version: 1,
    sequence: 2,
    kind: 1,
    meter: 4,
    precondition: 1,
    not_after_utc_s: 6,
};
const INPUT: CommandInput<'_> = CommandInput {
    identity: [7; 8],
    head: HEAD,
    parameters: &[1],
    bound_to: Some(BOUND_TO),
};

/// CMD-1: every field of a bound command changes its MAC.
// spec: CMD-1
#[test]
fn every_field_of_a_bound_command_changes_its_mac() {
    let key = CommandKey(CmacKey::new(&key(&[5; 16])));
    let mac = key.mac(&INPUT).unwrap();
    let mut others = vec![
        CommandInput {
            identity: [8; 8],
            ..INPUT
        },
        CommandInput {
            parameters: &[2],
            ..INPUT
        },
        CommandInput {
            parameters: &[],
            ..INPUT
        },
        CommandInput {
            bound_to: None,
            ..INPUT
        },
    ];
    let heads = [
        CommandHead {
            key_version: 2,
            ..HEAD
        },
        CommandHead {
            sequence: 3,
            ..HEAD
        },
        CommandHead { kind: 2, ..HEAD },
        CommandHead { meter: 5, ..HEAD },
        CommandHead {
            precondition: 0,
            ..HEAD
        },
        CommandHead {
            not_after_utc_s: 7,
            ..HEAD
        },
    ];
    others.extend(heads.map(|head| CommandInput { head, ..INPUT }));
    let bindings = [
        AnsweredUplink {
            server_nonce: [2; 8],
            ..BOUND_TO
        },
        AnsweredUplink {
            header: &[1; 23],
            ..BOUND_TO
        },
        AnsweredUplink {
            tag: &[4; 8],
            ..BOUND_TO
        },
    ];
    others.extend(bindings.map(|uplink| CommandInput {
        bound_to: Some(uplink),
        ..INPUT
    }));
    for other in others {
        assert_ne!(key.mac(&other), Ok(mac));
        assert_eq!(key.verify(&other, &mac), Err(MacMismatch));
    }
    assert_eq!(format!("{mac:?}"), "CommandMac([redacted])");
}

#[test]
fn parameters_beyond_their_length_field_are_refused() {
    let key = CommandKey(CmacKey::new(&key(&[5; 16])));
    let too_long = vec![0; 65_536];
    let with = |parameters| {
        key.mac(&CommandInput {
            parameters,
            ..INPUT
        })
    };
    assert_eq!(with(&too_long), Err(ParametersTooLong));
    assert!(with(&too_long[1..]).is_ok());
}

#[test]
fn no_cipher_or_key_prints_a_secret() {
    for mode in AeadMode::ALL {
        let link = vector_link_key(mode);
        for text in [
            format!("{link:?}"),
            format!("{:?}", link.uplink_cipher(SessionNonces::default())),
            format!("{:?}", link.answer_cipher(SessionNonces::default())),
            format!("{:?}", link.resync_cipher([0; 16])),
            format!("{:?}", link.resync_answer_cipher([0; 16])),
            format!("{:?}", link.call_key()),
        ] {
            assert!(text.contains("[redacted]"), "{text}");
        }
    }
}
