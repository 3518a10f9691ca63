use super::super::command::CommandKeyring;
use super::super::keys_toml;
use super::super::link::LinkKeyring;
use super::super::random::RandomSource;
use super::*;

const KEYS: &str = include_str!("golden_keys.toml");
/// A link ring sealed in format version 1 by an independent program under [`master`] with
/// [`Counting`]: hexadecimal.
const GOLDEN_LINK: &str = include_str!("golden_link_v1.hex");
/// The command ring likewise.
const GOLDEN_COMMAND: &str = include_str!("golden_command_v1.hex");

/// Octets that count up: what makes golden files possible.
#[derive(Debug, Default)]
struct Counting(u8);

impl RandomSource for Counting {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomFailed> {
        for octet in buffer {
            self.0 = self.0.wrapping_add(1);
            *octet = self.0;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Failing;

impl RandomSource for Failing {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomFailed> {
        Err(RandomFailed)
    }
}

fn master() -> FileKey {
    FileKey::read(&[0x4B; 32]).unwrap()
}

/// The rings of the golden files, with a registration that uses every field.
fn rings() -> (LinkKeyring, CommandKeyring) {
    let keys = keys_toml::parse(KEYS).unwrap();
    let mut link = keys.link;
    let identity = [0, 0, 0, 5, 0x33, 0xE8, 0, 0x36];
    for version in [1, 200] {
        link.readmit(&identity, version).unwrap();
    }
    (link, keys.command.unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_sealed_ring_opens_as_it_was() {
    let (link, command) = rings();
    let file = seal_link(&link, &master(), &mut Counting::default()).unwrap();
    assert_eq!(open_link(&file, &master()), Ok(link));
    let file = seal_command(&command, &master(), &mut Counting::default()).unwrap();
    assert_eq!(open_command(&file, &master()), Ok(command));
}

#[test]
fn format_version_1_is_what_it_always_was() {
    let (link, command) = rings();
    assert_eq!(
        open_link(&unhex(GOLDEN_LINK), &master()).as_ref(),
        Ok(&link)
    );
    assert_eq!(
        open_command(&unhex(GOLDEN_COMMAND), &master()).as_ref(),
        Ok(&command)
    );
    let sealed = seal_link(&link, &master(), &mut Counting::default()).unwrap();
    assert_eq!(sealed, unhex(GOLDEN_LINK));
    let sealed = seal_command(&command, &master(), &mut Counting::default()).unwrap();
    assert_eq!(sealed, unhex(GOLDEN_COMMAND));
}

/// KEY-10: one role's file is never the other's.
// spec: KEY-10
#[test]
fn a_file_of_the_other_role_is_refused_before_anything_is_opened() {
    let wanted = Role::Link;
    let refused = open_link(&unhex(GOLDEN_COMMAND), &master());
    assert_eq!(refused, Err(OpenFileError::WrongRole { found: 2, wanted }));
    let wanted = Role::Command;
    let refused = open_command(&unhex(GOLDEN_LINK), &master());
    assert_eq!(refused, Err(OpenFileError::WrongRole { found: 1, wanted }));
    // Writing the other role into it does not help.
    let mut forged = unhex(GOLDEN_COMMAND);
    forged[9] = 1;
    assert_eq!(
        open_link(&forged, &master()),
        Err(OpenFileError::WrongMasterKey)
    );
}

#[test]
fn another_master_key_is_told_apart_from_damage() {
    let other = FileKey::read(&[0x4C; 32]).unwrap();
    let refused = open_link(&unhex(GOLDEN_LINK), &other);
    assert_eq!(refused, Err(OpenFileError::WrongMasterKey));
}

#[test]
fn every_changed_octet_is_found_and_named_by_its_entry() {
    let file = unhex(GOLDEN_LINK);
    let mut last = 0;
    for at in 0..file.len() {
        let mut wrong = file.clone();
        wrong[at] ^= 0x10;
        let error = open_link(&wrong, &master()).unwrap_err();
        match at {
            0..=7 => assert_eq!(error, OpenFileError::NotAKeyring),
            8 => assert_eq!(error, OpenFileError::UnsupportedVersion { found: 0x11 }),
            9 => assert!(matches!(
                error,
                OpenFileError::WrongRole { found: 0x11, .. }
            )),
            10..=43 => assert_eq!(error, OpenFileError::WrongMasterKey),
            _ => match error {
                OpenFileError::DamagedEntry { index } | OpenFileError::Truncated { index } => {
                    assert!(
                        index == last || index == last + 1,
                        "{index} after {last} at {at}"
                    );
                    last = index;
                }
                other => panic!("{other:?} at {at}"),
            },
        }
    }
    assert_eq!(last, 10);
}

#[test]
fn every_truncation_and_any_tail_is_refused() {
    let file = unhex(GOLDEN_COMMAND);
    for octets in 0..file.len() {
        assert!(
            open_command(&file[..octets], &master()).is_err(),
            "{octets}"
        );
    }
    let longer = [&file[..], &[0]].concat();
    assert_eq!(
        open_command(&longer, &master()),
        Err(OpenFileError::TrailingBytes)
    );
}

/// Entries of one file do not fit into another, sealed under the same master key from the same
/// ring.
#[test]
fn entries_cannot_be_moved_between_files_or_places() {
    let (link, _) = rings();
    let one = seal_link(&link, &master(), &mut Counting(0)).unwrap();
    let other = seal_link(&link, &master(), &mut Counting(100)).unwrap();
    assert_eq!(one.len(), other.len());
    let mixed = [&one[..44], &other[44..]].concat();
    assert_eq!(
        open_link(&mixed, &master()),
        Err(OpenFileError::DamagedEntry { index: 0 })
    );
}

#[test]
fn secrets_do_not_stand_in_the_file_and_nonces_differ() {
    let (link, command) = rings();
    let text: Vec<&str> = KEYS
        .lines()
        .filter_map(|line| line.strip_prefix("key = \""))
        .collect();
    let keys = text.iter().map(|rest| unhex(rest));
    let files = [
        seal_link(&link, &master(), &mut super::super::random::OsRandom).unwrap(),
        seal_command(&command, &master(), &mut super::super::random::OsRandom).unwrap(),
    ];
    for key in keys {
        for file in &files {
            assert!(!file.windows(key.len()).any(|window| window == key));
        }
    }
    let again = seal_link(&link, &master(), &mut super::super::random::OsRandom).unwrap();
    assert_ne!(files[0][16..28], again[16..28]);
    assert_eq!(open_link(&again, &master()), Ok(link));
}

#[test]
fn without_random_octets_nothing_is_sealed() {
    let (link, _) = rings();
    let refused = seal_link(&link, &master(), &mut Failing);
    assert_eq!(refused, Err(SealFileError::Random(RandomFailed)));
}

/// A genuine entry that says what no ring takes: here a master of a utility that is not in the
/// file.
#[test]
fn a_genuine_but_impossible_entry_is_named() {
    let entries = vec![Entry {
        id: EntryId {
            kind: 3,
            purpose: 1,
            version: 1,
            state: 2,
            flags: 1,
            ..EntryId::default()
        },
        payload: Zeroizing::new(vec![7; 16]),
    }];
    let file = codec::seal(Role::Link, entries, &master(), &mut Counting::default()).unwrap();
    assert_eq!(
        open_link(&file, &master()),
        Err(OpenFileError::BadEntry { index: 0 })
    );
}

/// ROT-12: a genuine registration whose pending change goes to mode 0.
// spec: ROT-12
#[test]
fn a_pending_change_to_mode_0_is_refused() {
    for (pending, is_accepted) in [(0, false), (1, true), (3, true), (4, false), (0xFF, true)] {
        let utility = EntryId {
            kind: 1,
            ..EntryId::default()
        };
        let terminal = EntryId {
            kind: 2,
            ..EntryId::default()
        };
        let entries = [(utility, vec![b'A']), (terminal, vec![2, pending, 0, 0])];
        let entries = entries.map(|(id, payload)| Entry {
            id,
            payload: Zeroizing::new(payload),
        });
        let random = &mut Counting::default();
        let file = codec::seal(Role::Link, entries.into(), &master(), random).unwrap();
        let opened = open_link(&file, &master());
        if is_accepted {
            assert_eq!(opened.unwrap().terminals.len(), 1);
        } else {
            assert_eq!(opened, Err(OpenFileError::BadEntry { index: 1 }));
        }
    }
}

#[test]
fn the_role_that_a_file_claims_is_told_without_a_key() {
    let (link, command) = (unhex(GOLDEN_LINK), unhex(GOLDEN_COMMAND));
    assert!(is_sealed(&link) && is_sealed(&command) && !is_sealed(KEYS.as_bytes()));
    assert_eq!(claimed_role(&link), Some(Role::Link));
    assert_eq!(claimed_role(&command), Some(Role::Command));
    assert_eq!(claimed_role(&link[..9]), None);
    assert_eq!(claimed_role(b"KENSHINK\x01\x04"), None);
    assert_eq!(claimed_role(KEYS.as_bytes()), None);
}

#[test]
fn a_master_key_is_read_raw_or_as_digits() {
    let digits = "4b".repeat(32);
    for text in [
        digits.clone(),
        format!("{digits}\n"),
        format!("  {}\r\n", digits.to_uppercase()),
    ] {
        assert_eq!(FileKey::read(text.as_bytes()), Ok(master()));
    }
    for wrong in [
        &b""[..],
        &[0; 31],
        &[0; 33],
        &[b'g'; 64],
        &[b'0'; 62],
        &[b'0'; 66],
        &[b' '; 32],
        b"0123456789abcdef0123456789abcd\r\n",
    ] {
        assert_eq!(FileKey::read(wrong), Err(FileKeyError::NotAKey));
    }
    for short in ["4b".repeat(16), format!(" {}\n", "4B".repeat(16))] {
        assert_eq!(FileKey::read(short.as_bytes()), Err(FileKeyError::TooShort));
    }
    assert_eq!(
        FileKey::read_digits(&[0x4B; 32]),
        Err(FileKeyError::NotAKey)
    );
    assert!(format!("{:?}", master()).contains("[redacted]"));
}
