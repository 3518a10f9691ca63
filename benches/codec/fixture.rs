//! Frames, keys and terminals that the benches work on, all from the test vectors.

use hex_literal::hex;
use kenshin::crypto::key::{KeyOctets, Link, Master};
use kenshin::crypto::otl::{AeadMode, KeyOwner, LinkKey, SessionNonces, UplinkCipher};
use kenshin::keyring::{KeyState, LinkKeyring, Registration, UtilityId};
use kenshin::wire::otl::frame::Frame;
use kenshin::wire::otl::header::{Direction, Header, Mode};

/// The routine uplink: an everyday record in mode 1, padded to 128 octets.
pub(crate) const ROUTINE: [u8; 128] = hex!(
    "11280200000002dfdc1c35000186a16b359b780badcafe"
    "111cffbb8ee8a0d0a73a306a7d060bbf044d322da45fff4dfd50e050f19c8aaba3e620fc74edc548f88f8e6a33"
    "0ce8c393691747a52a287dbcd8580b7cda874a8e9c03393e6ce94949e7b8a346febcac7183757c490f13625700"
    "d5dda0fca13080db607d2986656247"
);

/// The octets of the header of [`ROUTINE`].
pub(crate) const HEADER_LEN: usize = 23;

/// The octets of its tag.
pub(crate) const TAG_LEN: usize = 8;

/// The key version in its header.
pub(crate) const KEY_VERSION: u8 = 2;

/// The utility of its terminal.
pub(crate) const UTILITY: [u8; 8] = hex!("a1b2c3d4e5f60718");

/// The link master of the utility.
pub(crate) const MASTER: [u8; 16] = hex!("abb00b275cc392379c5d7732e16a2606");

/// Mode 1 makes no use of them.
pub(crate) const NO_NONCES: SessionNonces = SessionNonces {
    terminal_nonce: [0; 8],
    ticket: [0; 8],
};

pub(crate) fn master() -> Master<Link> {
    Master::new(KeyOctets::Short(MASTER.into()))
}

/// The identity of the terminal with this number; number 0 is that of the vector.
pub(crate) fn identity(number: u64) -> [u8; 8] {
    let vector = u64::from_be_bytes(hex!("00000002dfdc1c35"));
    (vector + number).to_be_bytes()
}

pub(crate) const fn owner(identity: [u8; 8]) -> KeyOwner {
    KeyOwner {
        utility: UTILITY,
        identity,
    }
}

/// The cipher of a terminal's uplinks, from the master.
pub(crate) fn uplink_cipher(master: &Master<Link>, identity: [u8; 8]) -> UplinkCipher {
    let base = master.derive_base(owner(identity), KEY_VERSION);
    LinkKey::new(&base, owner(identity), AeadMode::CcmStatic, KEY_VERSION)
        .expect("mode 1 takes both lengths")
        .uplink_cipher(NO_NONCES)
}

/// A ring with one utility, one master and so many terminals.
pub(crate) fn ring(terminals: u64) -> LinkKeyring {
    let utility = UtilityId::new(UTILITY);
    let mut ring = LinkKeyring::new();
    ring.add_utility(utility, "Example Gas A");
    ring.add_master(utility, KEY_VERSION, KeyState::Active, true, master())
        .expect("a new master");
    for number in 0..terminals {
        let registration = Registration::new(utility, Mode::CcmStatic);
        ring.register(identity(number), registration)
            .expect("a known utility");
    }
    ring
}

/// The routine plaintext in frames of so many terminals, spread over those of a ring.
pub(crate) fn frames(count: u64, terminals: u64) -> Vec<[u8; 128]> {
    let master = master();
    let plaintext = plaintext();
    (0..count)
        .map(|index| {
            let identity = identity(index * (terminals / count));
            let mut frame = ROUTINE;
            frame[3..11].copy_from_slice(&identity);
            let (header, rest) = frame.split_at_mut(HEADER_LEN);
            let (body, tag) = rest.split_at_mut(plaintext.len());
            body.copy_from_slice(&plaintext);
            let sealed = uplink_cipher(&master, identity).seal(header, body);
            tag.copy_from_slice(sealed.expect("a frame of mode 1").as_octets());
            frame
        })
        .collect()
}

/// The plaintext of the routine uplink.
pub(crate) fn plaintext() -> Vec<u8> {
    open(&ROUTINE, &uplink_cipher(&master(), identity(0)))
}

/// The plaintext of a frame of mode 1.
pub(crate) fn open(octets: &[u8], cipher: &UplinkCipher) -> Vec<u8> {
    let header = Header::parse(octets, Direction::FromTerminal).expect("a valid header");
    let frame = Frame::split(header, octets, Mode::CcmStatic).expect("a frame of mode 1");
    let mut buffer = frame.ciphertext.to_vec();
    cipher
        .open(frame.header_octets, &mut buffer, frame.tag)
        .expect("a right tag");
    buffer
}
