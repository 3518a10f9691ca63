//! The application data of one message, from its transport header on: MAC or tag first, then the
//! plaintext, then its check octets.

use core::ops::Range;

use crate::crypto::key::Key128;
use crate::crypto::mbus::{
    AflKey, CHECK_OCTETS, Derivation, KdfKey, TAG_OCTETS, open_cbc_mode5, open_cbc_mode7, open_ccm,
};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::tpl::{Announced, Derived, Header};

use super::fragments::Authentication;
use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::opened::{KeyName, Verified};
use super::refusal::Refusal;

/// Octets of a block of AES.
const BLOCK: usize = 16;
/// The shortest MAC that is believed: what OMS demands.
// clause: OMS Volume 2, 6.3.5
const MAC_MIN: usize = 8;
/// How many versions of a key are tried where the telegram names none.
pub(super) const VERSIONS_MAX: usize = 3;
/// KDF-A.
const KDF_A: u8 = 1;
/// A tag of eight octets.
const TAG_OF_8: u8 = 1;

/// What is known of a message before its security is looked at.
pub(super) struct Secured<'s> {
    pub(super) header: &'s Header,
    pub(super) about: Option<&'s Authentication>,
    pub(super) meter: Option<Address>,
    pub(super) is_downlink: bool,
    pub(super) policy: Policy,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) verified: Verified,
    pub(super) key: Option<KeyName>,
    pub(super) counter: Option<u32>,
    /// The plaintext, from the CI field of the transport header.
    pub(super) payload: Range<usize>,
    /// Whether the payload, its clear tail apart, was encrypted.
    pub(super) is_encrypted: bool,
    pub(super) clear_tail_octets: usize,
    pub(super) withheld_octets: usize,
    pub(super) cut_octets: usize,
}

impl Found {
    const fn clear(payload: Range<usize>) -> Self {
        Self {
            verified: Verified::None,
            key: None,
            counter: None,
            payload,
            is_encrypted: false,
            clear_tail_octets: 0,
            withheld_octets: 0,
            cut_octets: 0,
        }
    }
}

/// Opens a message in place. `message` begins with the CI field of the transport header.
pub(super) fn open(
    of: &Secured<'_>,
    keys: &impl MeterKeys,
    message: &mut [u8],
    trial: &mut Vec<u8>,
) -> Result<Found, Refusal> {
    match of.header.security {
        Announced::Clear | Announced::Mode5 { blocks: Some(0) } => clear(of, keys, message),
        Announced::Mode5 { blocks } => mode5(of, blocks, keys, message, trial),
        Announced::Mode7(derived) => mode7(of, &derived, keys, message),
        Announced::Mode10(derived) => mode10(of, &derived, keys, message, trial),
        Announced::Other(mode) => Err(Refusal::UnsupportedMode(mode)),
    }
}

/// Where the data behind the header stands.
const fn data(of: &Secured<'_>, message: &[u8]) -> Range<usize> {
    of.header.len..message.len()
}

fn truncated(of: &Secured<'_>, message: &[u8]) -> Refusal {
    let offset = message.len().max(of.header.len);
    Refusal::Octets(MbusError::new(
        offset,
        MbusErrorKind::Length,
        "encrypted data",
    ))
}

/// Which keys a message may be under.
struct Wanted {
    id: KeyId,
    version: Option<KeyVersion>,
}

impl Wanted {
    /// Gives the keys to `attempt` until one of them fits. None fits: `wrong`.
    fn find(
        &self,
        of: &Secured<'_>,
        keys: &impl MeterKeys,
        wrong: Refusal,
        mut attempt: impl FnMut(&Key128) -> Result<(), Refusal>,
    ) -> Result<KeyName, Refusal> {
        let (id, wanted) = (self.id, self.version);
        let none = Refusal::NoKey {
            id,
            version: wanted,
        };
        let meter = of.meter.ok_or(none)?;
        let mut found = None;
        let mut failed = None;
        let mut attempts = 0_usize;
        keys.visit(meter, id, &mut |version, key| {
            if wanted.is_some_and(|wanted| wanted != version) {
                return true;
            }
            attempts = attempts.saturating_add(1);
            match attempt(key) {
                Ok(()) => found = Some(KeyName { id, version }),
                Err(refusal) => failed = Some(refusal),
            }
            found.is_none() && attempts < VERSIONS_MAX
        });
        match (found, failed) {
            (Some(name), _) => Ok(name),
            (None, None) => Err(none),
            // Of several keys none of which fits, the plainest word.
            (None, Some(refusal)) if refusal == wrong => Err(wrong),
            (None, Some(refusal)) => Err(refusal),
        }
    }
}

/// Nothing is encrypted. A MAC is checked all the same, if the meter has a key.
fn clear(of: &Secured<'_>, keys: &impl MeterKeys, message: &[u8]) -> Result<Found, Refusal> {
    let mut found = Found::clear(data(of, message));
    if let Some((name, counter)) = optional_mac(of, keys, message)? {
        found.verified = Verified::Mac;
        found.key = Some(name);
        found.counter = Some(counter);
    }
    Ok(found)
}

/// Checks a MAC where the mode does not demand one: none if there is none that could be checked,
/// for want of a counter or a key.
fn optional_mac(
    of: &Secured<'_>,
    keys: &impl MeterKeys,
    message: &[u8],
) -> Result<Option<(KeyName, u32)>, Refusal> {
    let about = of.about.filter(|about| !about.mac().is_empty());
    let Some((about, counter)) = about.and_then(|about| Some((about, about.counter?))) else {
        return Ok(None);
    };
    let name = wanted_of(about, None).find(of, keys, Refusal::WrongMac, |key| {
        verify_mac(of, about, counter, &KdfKey::new(key), message)
    });
    match name {
        Ok(name) => Ok(Some((name, u32::from_le_bytes(counter)))),
        Err(Refusal::NoKey { .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// The key that AFL and transport header name.
fn wanted_of(about: &Authentication, derived: Option<&Derived>) -> Wanted {
    let of_afl = about.key.map(|[number, version]| (number & 0x0F, version));
    let id = match (derived, of_afl) {
        (Some(derived), _) => derived.key_id,
        (None, Some((id, _))) => id,
        (None, None) => 0,
    };
    let version = derived.and_then(|derived| derived.key_version);
    let version = version.or_else(|| of_afl.map(|(_, version)| version));
    Wanted {
        id: KeyId(id),
        version: version.map(KeyVersion),
    }
}

/// A MAC does not cover version and type of a link address, which are in the initialisation vector:
/// keys are looked up by all eight octets, so that an altered one finds no key.
// clause: EN 13757-7, 7.7.3, security mode 5
fn mode5(
    of: &Secured<'_>,
    blocks: Option<u8>,
    keys: &impl MeterKeys,
    message: &mut [u8],
    trial: &mut Vec<u8>,
) -> Result<Found, Refusal> {
    let span = data(of, message);
    if span.is_empty() {
        return Ok(Found::clear(span));
    }
    let mac = optional_mac(of, keys, message)?;
    let part = encrypted_part(span.len(), blocks);
    let (encrypted, cut) = (part.encrypted, part.cut);
    let short = truncated(of, message);
    let start = span.start;
    let cipher = message.get_mut(start..start.saturating_add(encrypted));
    let cipher = cipher.filter(|cipher| !cipher.is_empty()).ok_or(short)?;
    trial.clear();
    trial.extend_from_slice(cipher);
    let wanted = Wanted {
        id: KeyId::PERSISTENT,
        version: None,
    };
    let access_number = of.header.access_number.unwrap_or_default();
    let address = of.meter.map(Address::link_order).unwrap_or_default();
    let name = wanted.find(of, keys, Refusal::WrongKey, |key| {
        cipher.copy_from_slice(trial);
        open_cbc_mode5(key, address, access_number, cipher).map_err(|_| Refusal::WrongKey)
    });
    let plain_start = start.saturating_add(CHECK_OCTETS.len());
    // Whoever has heard one telegram can put another clear tail behind its blocks. Without a MAC
    // such a tail is no better than a clear telegram.
    let withheld = match (of.policy, mac) {
        (Policy::MustBeEncrypted, None) => part.clear_tail,
        _ => 0,
    };
    let end = span.end.saturating_sub(cut).saturating_sub(withheld);
    match name {
        Ok(name) => Ok(Found {
            verified: mac.map_or(Verified::CheckBytes, |_| Verified::Mac),
            // A counter is one of the key that its MAC is under.
            key: mac.map(|(name, _)| name).or(Some(name)),
            counter: mac.map(|(_, counter)| counter),
            payload: plain_start..end,
            is_encrypted: true,
            clear_tail_octets: part.clear_tail.saturating_sub(withheld),
            withheld_octets: withheld,
            cut_octets: part.missing,
        }),
        Err(Refusal::NoKey { .. }) if is_decrypted(keys, trial) => {
            Ok(Found::clear(without_check_octets(span)))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Some recorders keep what they decrypted, and leave the header as it was.
fn is_decrypted(keys: &impl MeterKeys, data: &[u8]) -> bool {
    keys.takes_decrypted() && data.starts_with(&CHECK_OCTETS)
}

const fn without_check_octets(data: Range<usize>) -> Range<usize> {
    data.start.saturating_add(CHECK_OCTETS.len())..data.end
}

/// How much of the data is encrypted.
struct Part {
    /// Octets of whole blocks.
    encrypted: usize,
    /// Octets after them that are in clear.
    clear_tail: usize,
    /// Octets at the end that belong to a block which did not come whole.
    cut: usize,
    /// Octets of encrypted blocks that did not come.
    missing: usize,
}

fn encrypted_part(len: usize, blocks: Option<u8>) -> Part {
    let whole = len.checked_div(BLOCK).unwrap_or(0).saturating_mul(BLOCK);
    let wanted = blocks.map(|blocks| usize::from(blocks).saturating_mul(BLOCK));
    match wanted {
        Some(wanted) if wanted <= len => Part {
            encrypted: wanted,
            clear_tail: len.saturating_sub(wanted),
            cut: 0,
            missing: 0,
        },
        _ => Part {
            encrypted: whole,
            clear_tail: 0,
            cut: len.saturating_sub(whole),
            missing: wanted
                .unwrap_or_else(|| len.next_multiple_of(BLOCK))
                .saturating_sub(len),
        },
    }
}

/// The counter of the message and the rules that modes 7 and 10 share.
fn derived_counter(of: &Secured<'_>, derived: &Derived) -> Result<[u8; 4], Refusal> {
    if derived.derivation != KDF_A {
        return Err(Refusal::UnsupportedSecurity(
            "a key derivation other than KDF-A",
        ));
    }
    let of_afl = of.about.and_then(|about| about.counter);
    let none = Refusal::UnsupportedSecurity("a derived key without a message counter");
    derived.counter.or(of_afl).ok_or(none)
}

fn derive(of: &Secured<'_>, kdf: &KdfKey, counter: [u8; 4], is_mac: bool) -> Key128 {
    let derivation = match (of.is_downlink, is_mac) {
        (false, false) => Derivation::Kenc,
        (false, true) => Derivation::Kmac,
        (true, false) => Derivation::Lenc,
        (true, true) => Derivation::Lmac,
    };
    let id = of.meter.map(|meter| meter.id.octets()).unwrap_or_default();
    kdf.derive(derivation, counter, id)
}

/// Checks the MAC of the AFL over the message as it came.
// clause: OMS Volume 2, 6.3.5
fn verify_mac(
    of: &Secured<'_>,
    about: &Authentication,
    counter: [u8; 4],
    kdf: &KdfKey,
    message: &[u8],
) -> Result<(), Refusal> {
    let control = about.control.ok_or(Refusal::UnsupportedSecurity(
        "a MAC without a message control field",
    ))?;
    match about.mac_octets {
        None if matches!(control & 0x0F, 8 | 9) => {
            return Err(Refusal::UnsupportedSecurity("a GMAC in the AFL"));
        }
        None => {
            return Err(Refusal::UnsupportedSecurity(
                "a reserved authentication type",
            ));
        }
        Some(octets) if octets < MAC_MIN => {
            return Err(Refusal::UnsupportedSecurity("a MAC of less than 8 octets"));
        }
        Some(octets) if octets != about.mac().len() => {
            return Err(Refusal::UnsupportedSecurity(
                "a MAC of another length than its authentication type",
            ));
        }
        Some(_) => {}
    }
    let key = AflKey::new(&derive(of, kdf, counter, true));
    let parts: [&[u8]; 5] = [
        &[control],
        about.key.as_ref().map_or(&[], |key| key.as_slice()),
        about
            .counter
            .as_ref()
            .map_or(&[], |counter| counter.as_slice()),
        about
            .length
            .as_ref()
            .map_or(&[], |length| length.as_slice()),
        message,
    ];
    key.verify(&parts, about.mac())
        .map_err(|_| Refusal::WrongMac)
}

// clause: EN 13757-7, 7.7.4, security mode 7
fn mode7(
    of: &Secured<'_>,
    derived: &Derived,
    keys: &impl MeterKeys,
    message: &mut [u8],
) -> Result<Found, Refusal> {
    let about = of.about.filter(|about| !about.mac().is_empty());
    let about = about.ok_or(Refusal::MacMissing)?;
    let counter = derived_counter(of, derived)?;
    let span = data(of, message);
    let part = encrypted_part(span.len(), derived.encrypted);
    if part.missing > 0 {
        return Err(truncated(of, message));
    }
    let mut kenc = None;
    let wanted = wanted_of(about, Some(derived));
    let name = wanted.find(of, keys, Refusal::WrongMac, |key| {
        let kdf = KdfKey::new(key);
        verify_mac(of, about, counter, &kdf, message)?;
        kenc = Some(derive(of, &kdf, counter, false));
        Ok(())
    });
    let encrypted = message.get(span.clone()).unwrap_or_default();
    let name = match name {
        Err(Refusal::NoKey { .. }) if is_decrypted(keys, encrypted) => {
            return Ok(Found::clear(without_check_octets(span)));
        }
        name => name?,
    };
    let mut found = Found {
        verified: Verified::Mac,
        key: Some(name),
        counter: Some(u32::from_le_bytes(counter)),
        payload: span.clone(),
        is_encrypted: part.encrypted > 0,
        clear_tail_octets: part.clear_tail,
        withheld_octets: 0,
        cut_octets: 0,
    };
    let end = span.start.saturating_add(part.encrypted);
    let cipher = message.get_mut(span.start..end).unwrap_or_default();
    if let Some(kenc) = kenc.filter(|_| !cipher.is_empty()) {
        open_cbc_mode7(&kenc, cipher).map_err(|_| Refusal::WrongKey)?;
        found.payload.start = span.start.saturating_add(CHECK_OCTETS.len());
    }
    Ok(found)
}

/// That the additional data of a long header hold the address is read into the text: no telegram at
/// hand shows it. Here that needs no leave, since a tag that holds proves the reading; where the
/// reading is wrong, the telegram is refused as one with a wrong tag.
///
/// MAC, key and counter of an AFL are not asked: the tag covers the message.
// clause: EN 13757-7, 7.7.5, security mode 10
fn mode10(
    of: &Secured<'_>,
    derived: &Derived,
    keys: &impl MeterKeys,
    message: &mut [u8],
    trial: &mut Vec<u8>,
) -> Result<Found, Refusal> {
    if derived.tag_length != TAG_OF_8 {
        return Err(Refusal::UnsupportedSecurity(
            "a tag of another length than 8 octets",
        ));
    }
    let counter = derived_counter(of, derived)?;
    let short = truncated(of, message);
    let (header, rest) = message.split_at_mut_checked(of.header.len).ok_or(short)?;
    let (cipher, tag) = rest.split_last_chunk_mut::<TAG_OCTETS>().ok_or(short)?;
    if derived
        .encrypted
        .is_some_and(|octets| usize::from(octets) != cipher.len())
    {
        // How the tag treats a clear tail is not known.
        return Err(Refusal::UnsupportedSecurity(
            "partial encryption in mode 10",
        ));
    }
    let additional = header.get(..derived.additional_octets).ok_or(short)?;
    let address = of.meter.map(Address::link_order).unwrap_or_default();
    let number = u32::from_le_bytes(counter);
    trial.clear();
    trial.extend_from_slice(cipher);
    let wanted = Wanted {
        id: KeyId(derived.key_id),
        version: derived.key_version.map(KeyVersion),
    };
    let name = wanted.find(of, keys, Refusal::WrongTag, |key| {
        cipher.copy_from_slice(trial);
        let kenc = derive(of, &KdfKey::new(key), counter, false);
        let opened = open_ccm(&kenc, address, number, additional, cipher, tag);
        opened.map_err(|_| Refusal::WrongTag)
    })?;
    let start = of.header.len;
    Ok(Found {
        verified: Verified::Mac,
        key: Some(name),
        counter: Some(number),
        payload: start..start.saturating_add(trial.len()),
        is_encrypted: true,
        clear_tail_octets: 0,
        withheld_octets: 0,
        cut_octets: 0,
    })
}
