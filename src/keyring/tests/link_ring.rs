use super::*;
use crate::crypto::key::BaseKey;

fn error(ring: &LinkKeyring, mode: Mode, version: u8) -> KeyError {
    ring.opening_key(&IDENTITY, mode, version).unwrap_err()
}

fn registered(ring: &mut LinkKeyring, registration: Registration) {
    ring.register(IDENTITY, registration).unwrap();
}

/// KEY-8: NEW, ACTIVE and EXPIRED versions open, WITHDRAWN and unknown ones do not.
// spec: KEY-8
#[test]
fn versions_open_by_their_state() {
    let ring = link_ring();
    for version in 1..=3 {
        let opening = ring
            .opening_key(&IDENTITY, Mode::CcmStatic, version)
            .unwrap();
        assert_eq!(opening.key.unwrap().key_version(), version);
    }
    assert_eq!(error(&ring, Mode::CcmStatic, 4), KeyError::KeyWithdrawn);
    assert_eq!(
        error(&ring, Mode::CcmStatic, 6),
        KeyError::UnknownKeyVersion
    );
    assert_eq!(
        error(&ring, Mode::CcmStatic, 0),
        KeyError::UnknownKeyVersion
    );
}

/// ROT-6: a key that is not durable off the machine is not accepted, and not given out.
// spec: ROT-6
#[test]
fn a_key_that_is_not_escrowed_is_as_if_it_were_unknown() {
    let ring = link_ring();
    assert_eq!(
        error(&ring, Mode::CcmStatic, 5),
        KeyError::UnknownKeyVersion
    );
    let install = ring.base_key_for_install(&IDENTITY, 5).unwrap_err();
    assert_eq!(install, InstallError::Key(KeyError::UnknownKeyVersion));
}

#[test]
fn an_unregistered_terminal_is_unknown() {
    let ring = link_ring();
    let found = ring.opening_key(&[1; 8], Mode::CcmStatic, 1);
    assert_eq!(found.unwrap_err(), KeyError::UnknownTerminal);
}

/// ID-3.
// spec: ID-3
#[test]
fn maker_0_is_unknown_unless_registered_by_hand() {
    let mut ring = link_ring();
    let test_identity = [0, 0, 1, 2, 3, 4, 5, 6];
    let mut registration = Registration::new(UTILITY, Mode::CcmStatic);
    registration.by_hand = false;
    ring.register(test_identity, registration.clone()).unwrap();
    let found = ring.opening_key(&test_identity, Mode::CcmStatic, 1);
    assert_eq!(found.unwrap_err(), KeyError::UnknownTerminal);
    registration.by_hand = true;
    ring.register(test_identity, registration).unwrap();
    assert!(ring.opening_key(&test_identity, Mode::CcmStatic, 1).is_ok());
}

/// SEC-1: any other mode is refused, higher ones too.
// spec: SEC-1
#[test]
fn every_mode_but_the_pinned_one_is_a_mismatch() {
    let mut ring = link_ring();
    for pinned in [Mode::CcmStatic, Mode::CcmSession] {
        registered(&mut ring, Registration::new(UTILITY, pinned));
        for mode in Mode::ALL.into_iter().filter(|mode| *mode != pinned) {
            assert_eq!(error(&ring, mode, 2), KeyError::ModeMismatch);
        }
        let opening = ring.opening_key(&IDENTITY, pinned, 2).unwrap();
        assert_eq!((opening.mode, opening.promotes_mode), (pinned, false));
    }
}

/// SEC-3: a pinned mode 0 needs the utility's permission too, and has no key.
// spec: SEC-3
#[test]
fn mode_0_needs_permission_and_has_no_key() {
    let mut ring = link_ring();
    let mut registration = Registration::new(UTILITY, Mode::Clear);
    registered(&mut ring, registration.clone());
    assert_eq!(error(&ring, Mode::Clear, 0), KeyError::Mode0Forbidden);
    assert_eq!(error(&ring, Mode::CcmStatic, 1), KeyError::ModeMismatch);
    registration.allow_mode0 = true;
    registered(&mut ring, registration);
    assert!(
        ring.opening_key(&IDENTITY, Mode::Clear, 0)
            .unwrap()
            .key
            .is_none()
    );
}

/// KEY-5.
// spec: KEY-5
#[test]
fn mode_3_needs_a_master_of_32_octets() {
    let mut ring = link_ring();
    registered(&mut ring, Registration::new(UTILITY, Mode::GcmSession));
    assert_eq!(error(&ring, Mode::GcmSession, 2), KeyError::KeyTooShort);
    registered(
        &mut ring,
        Registration::new(OTHER_UTILITY, Mode::GcmSession),
    );
    assert!(ring.opening_key(&IDENTITY, Mode::GcmSession, 1).is_ok());
}

/// ERR-2: the first failure is the one that is told.
// spec: ERR-2
#[test]
fn checks_are_made_in_the_order_of_the_specification() {
    let mut ring = link_ring();
    registered(&mut ring, Registration::new(UTILITY, Mode::Clear));
    assert_eq!(error(&ring, Mode::GcmSession, 4), KeyError::ModeMismatch);
    registered(&mut ring, Registration::new(UTILITY, Mode::GcmSession));
    ring.promote(&IDENTITY, 3).unwrap();
    assert_eq!(error(&ring, Mode::GcmSession, 4), KeyError::KeyWithdrawn);
    assert_eq!(error(&ring, Mode::GcmSession, 2), KeyError::KeyRetired);
    assert_eq!(error(&ring, Mode::GcmSession, 3), KeyError::KeyTooShort);
}

/// ROT-5, ROT-7.
// spec: ROT-5, ROT-7
#[test]
fn a_promotion_retires_lower_versions_and_no_higher_one() {
    let mut ring = link_ring();
    let promotes = |ring: &LinkKeyring, version| {
        ring.opening_key(&IDENTITY, Mode::CcmStatic, version)
            .unwrap()
            .promotes_version
    };
    assert!(promotes(&ring, 1) && promotes(&ring, 2));
    assert_eq!(ring.promote(&IDENTITY, 2), Ok(true));
    assert!(!promotes(&ring, 2) && promotes(&ring, 3));
    assert_eq!(error(&ring, Mode::CcmStatic, 1), KeyError::KeyRetired);
    assert_eq!(ring.promote(&IDENTITY, 2), Ok(false));
    assert_eq!(ring.promote(&IDENTITY, 1), Ok(false));
    assert_eq!(
        ring.registration(&IDENTITY).unwrap().promoted_link_version,
        Some(2)
    );
    assert_eq!(ring.promote(&[1; 8], 2), Err(KeyError::UnknownTerminal));
}

/// ROT-7: an operator may admit a version again; the next promotion ends that.
// spec: ROT-7
#[test]
fn a_readmitted_version_opens_until_the_next_promotion() {
    let mut ring = link_ring();
    ring.promote(&IDENTITY, 2).unwrap();
    assert_eq!(ring.readmit(&IDENTITY, 1), Ok(true));
    let opening = ring.opening_key(&IDENTITY, Mode::CcmStatic, 1).unwrap();
    assert!(!opening.promotes_version);
    ring.promote(&IDENTITY, 3).unwrap();
    assert_eq!(error(&ring, Mode::CcmStatic, 1), KeyError::KeyRetired);
}

/// ROT-11: between hand-over and the first frame in the new mode exactly these two are accepted.
// spec: ROT-11
#[test]
fn a_pending_mode_change_accepts_exactly_the_old_and_the_new_mode() {
    let mut ring = link_ring();
    ring.offer_mode(&IDENTITY, Mode::CcmSession).unwrap();
    let promotes = |ring: &LinkKeyring, mode| {
        ring.opening_key(&IDENTITY, mode, 2)
            .map(|opening| opening.promotes_mode)
    };
    assert_eq!(promotes(&ring, Mode::CcmStatic), Ok(false));
    assert_eq!(promotes(&ring, Mode::CcmSession), Ok(true));
    assert_eq!(
        promotes(&ring, Mode::GcmSession),
        Err(KeyError::ModeMismatch)
    );
    assert_eq!(promotes(&ring, Mode::Clear), Err(KeyError::ModeMismatch));
    assert_eq!(
        ring.offer_mode(&IDENTITY, Mode::GcmSession),
        Err(ModeChangeError::Pending)
    );
    assert_eq!(ring.offer_mode(&IDENTITY, Mode::CcmSession), Ok(()));

    assert_eq!(ring.promote_mode(&IDENTITY, Mode::CcmStatic), Ok(false));
    assert_eq!(ring.promote_mode(&IDENTITY, Mode::CcmSession), Ok(true));
    assert_eq!(promotes(&ring, Mode::CcmSession), Ok(false));
    assert_eq!(
        promotes(&ring, Mode::CcmStatic),
        Err(KeyError::ModeMismatch)
    );
}

/// ROT-11, ROT-12.
// spec: ROT-11, ROT-12
#[test]
fn mode_changes_that_cannot_end_well_are_not_taken_on() {
    let mut ring = link_ring();
    ring.promote(&IDENTITY, 2).unwrap();
    assert_eq!(
        ring.offer_mode(&IDENTITY, Mode::Clear),
        Err(ModeChangeError::Clear)
    );
    assert_eq!(
        ring.offer_mode(&IDENTITY, Mode::CcmStatic),
        Err(ModeChangeError::Same)
    );
    assert_eq!(
        ring.offer_mode(&IDENTITY, Mode::GcmSession),
        Err(ModeChangeError::KeyTooShort)
    );
    assert_eq!(
        ring.offer_mode(&[1; 8], Mode::CcmSession),
        Err(ModeChangeError::UnknownTerminal)
    );
    ring.offer_mode(&IDENTITY, Mode::CcmSession).unwrap();
    assert_eq!(ring.withdraw_mode_offer(&IDENTITY), Ok(true));
    assert_eq!(error(&ring, Mode::CcmSession, 2), KeyError::ModeMismatch);
}

/// KEY-6: an imported key is a base key, and takes precedence for its terminal.
// spec: KEY-6
#[test]
fn an_imported_key_opens_what_its_base_key_sealed() {
    let mut ring = link_ring();
    let import = |version| {
        (
            version,
            KeyState::Active,
            true,
            BaseKey::import(octets(0x99, 16)),
        )
    };
    for (version, state, escrowed, key) in [import(2), import(7)] {
        ring.import(IDENTITY, version, state, escrowed, key)
            .unwrap();
    }
    let owner = crate::crypto::otl::KeyOwner {
        utility: UTILITY.octets(),
        identity: IDENTITY,
    };
    for version in [2, 7] {
        let base = BaseKey::<Link>::import(octets(0x99, 16));
        let mode = crate::crypto::otl::AeadMode::CcmStatic;
        let link = crate::crypto::otl::LinkKey::new(&base, owner, mode, version).unwrap();
        let (header, mut buffer) = ([0; 23], *b"content");
        let cipher = link.uplink_cipher(crate::crypto::otl::SessionNonces::default());
        let tag = cipher.seal(&header, &mut buffer).unwrap();
        let opening = ring
            .opening_key(&IDENTITY, Mode::CcmStatic, version)
            .unwrap();
        let cipher = opening
            .key
            .unwrap()
            .uplink_cipher(crate::crypto::otl::SessionNonces::default());
        assert_eq!(cipher.open(&header, &mut buffer, tag.as_octets()), Ok(()));
        assert_eq!(&buffer, b"content");
    }
}

/// KEY-7.
// spec: KEY-7
#[test]
fn a_version_is_never_reused_for_another_key() {
    let mut ring = link_ring();
    let reused = ring.add_master(UTILITY, 1, KeyState::Active, true, master(0x99, 16));
    assert_eq!(reused, Err(AddKeyError::VersionReused));
    let zero = ring.add_master(UTILITY, 0, KeyState::Active, true, master(1, 16));
    assert_eq!(zero, Err(AddKeyError::VersionZero));
    // The same key again only changes its state.
    assert_eq!(
        ring.add_master(UTILITY, 1, KeyState::Withdrawn, true, master(1, 16)),
        Ok(())
    );
    assert_eq!(error(&ring, Mode::CcmStatic, 1), KeyError::KeyWithdrawn);
    let unknown = ring.add_master(
        UtilityId::new([0; 8]),
        1,
        KeyState::New,
        true,
        master(1, 16),
    );
    assert_eq!(unknown, Err(AddKeyError::UnknownUtility));
    let nobody = ring.import(
        [9; 8],
        1,
        KeyState::New,
        true,
        BaseKey::import(octets(1, 16)),
    );
    assert_eq!(nobody, Err(AddKeyError::UnknownTerminal));
}

/// ID-4: the same terminal has other keys with another utility, and its imported ones do not
/// follow.
// spec: ID-4
#[test]
fn a_change_of_utility_changes_the_keys_and_drops_imported_ones() {
    let mut ring = link_ring();
    ring.import(
        IDENTITY,
        7,
        KeyState::Active,
        true,
        BaseKey::import(octets(0x99, 16)),
    )
    .unwrap();
    registered(&mut ring, Registration::new(UTILITY, Mode::CcmSession));
    assert!(ring.opening_key(&IDENTITY, Mode::CcmSession, 7).is_ok());
    registered(
        &mut ring,
        Registration::new(OTHER_UTILITY, Mode::CcmSession),
    );
    assert_eq!(
        error(&ring, Mode::CcmSession, 7),
        KeyError::UnknownKeyVersion
    );
    assert_eq!(
        error(&ring, Mode::CcmSession, 2),
        KeyError::UnknownKeyVersion
    );
}

/// KEY-8, ROT-9: what may be given out for installation.
// spec: KEY-8, ROT-9
#[test]
fn only_new_and_active_versions_above_the_promoted_one_are_given_out() {
    let mut ring = link_ring();
    assert_eq!(
        ring.base_key_for_install(&IDENTITY, 1).unwrap_err(),
        InstallError::NotOffered
    );
    assert!(ring.base_key_for_install(&IDENTITY, 2).is_ok());
    ring.promote(&IDENTITY, 2).unwrap();
    assert_eq!(
        ring.base_key_for_install(&IDENTITY, 2).unwrap_err(),
        InstallError::NotNewer
    );
    assert!(ring.base_key_for_install(&IDENTITY, 3).is_ok());
    let withdrawn = ring.base_key_for_install(&IDENTITY, 4).unwrap_err();
    assert_eq!(withdrawn, InstallError::Key(KeyError::KeyWithdrawn));
}

#[test]
fn a_set_of_versions_holds_each_of_256() {
    for version in 0..=u8::MAX {
        let mut set = VersionSet::EMPTY;
        assert!(!set.contains(version));
        assert!(set.insert(version) && !set.insert(version));
        assert_eq!(set.iter().collect::<Vec<_>>(), [version]);
        set.clear();
        assert_eq!(set, VersionSet::EMPTY);
    }
}
