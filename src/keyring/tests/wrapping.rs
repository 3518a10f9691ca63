use super::*;
use crate::crypto::keywrap::KeyWrapKey;
use crate::crypto::otl::KeyOwner;

const OWNER: KeyOwner = KeyOwner {
    utility: [0xA1; 8],
    identity: IDENTITY,
};

/// The terminal's side: its wrap key of a version.
fn terminal_wrap_key(version: u8) -> KeyWrapKey {
    let kek = master::<KeyEncryption>(0x50 | version, 32);
    kek.derive_base(OWNER, version).wrap_key(OWNER, version)
}

/// ROT-1: a new link key, from the link ring over the signer to the terminal.
// spec: ROT-1
#[test]
fn a_link_key_reaches_the_terminal_wrapped() {
    let base = link_ring().base_key_for_install(&IDENTITY, 3).unwrap();
    let expected = base.duplicate();
    let new = NewKey::Link { version: 3, base };
    let parameters = command_ring()
        .install_parameters(&IDENTITY, 1, &new)
        .unwrap();
    let [purpose, version, kek_version, wrapped @ ..] = parameters.as_octets() else {
        panic!("too short");
    };
    assert_eq!(
        (*purpose, *version, *kek_version, wrapped.len()),
        (1, 3, 1, 24)
    );
    let unwrapped = terminal_wrap_key(1).unwrap(wrapped).unwrap();
    assert!(crate::crypto::key::BaseKey::import(unwrapped) == expected);
}

/// ROT-8: command and key-encryption keys are installed the same way, out of the signer's own
/// masters.
// spec: ROT-8
#[test]
fn command_and_key_encryption_keys_are_wrapped_by_the_signer_alone() {
    let ring = command_ring();
    for (new, purpose, octets) in [
        (NewKey::Command { version: 2 }, 2, 24),
        (NewKey::KeyEncryption { version: 2 }, 3, 40),
    ] {
        let parameters = ring.install_parameters(&IDENTITY, 4, &new).unwrap();
        let (head, wrapped) = parameters.as_octets().split_at(3);
        assert_eq!((head, wrapped.len()), (&[purpose, 2, 4][..], octets));
        assert!(terminal_wrap_key(4).unwrap(wrapped).is_ok());
        assert!(terminal_wrap_key(1).unwrap(wrapped).is_err());
    }
}

/// KEY-8.
// spec: KEY-8
#[test]
fn expired_and_withdrawn_versions_are_not_given_out() {
    let ring = command_ring();
    let install = |kek, new: NewKey| ring.install_parameters(&IDENTITY, kek, &new).unwrap_err();
    assert_eq!(
        install(1, NewKey::Command { version: 4 }),
        InstallError::NotOffered
    );
    assert_eq!(
        install(1, NewKey::Command { version: 3 }),
        InstallError::Key(KeyError::KeyWithdrawn)
    );
    assert_eq!(
        install(3, NewKey::Command { version: 2 }),
        InstallError::Key(KeyError::KeyWithdrawn)
    );
    assert_eq!(
        install(9, NewKey::Command { version: 2 }),
        InstallError::Key(KeyError::UnknownKeyVersion)
    );
}

/// ROT-8: results verify under every version that is not withdrawn.
// spec: ROT-8
#[test]
fn old_command_keys_go_on_until_withdrawn() {
    let ring = command_ring();
    for version in [1, 2, 4] {
        assert!(ring.result_key(&IDENTITY, version).is_ok());
        assert!(ring.command_key(&IDENTITY, version).is_ok());
    }
    assert_eq!(
        ring.result_key(&IDENTITY, 3).unwrap_err(),
        KeyError::KeyWithdrawn
    );
    assert_eq!(
        ring.command_key(&[1; 8], 1).unwrap_err(),
        KeyError::UnknownTerminal
    );
}
