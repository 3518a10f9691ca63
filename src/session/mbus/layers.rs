//! The layers of one reading of a telegram, above its link.

use crate::crypto::mbus::{ell_check, ell_ctr};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::afl::Afl;
use crate::wire::mbus::ci::{Announced, HeaderKind, announced, is_to_meter};
use crate::wire::mbus::ell::ExtendedLink;
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::link::{Format, Link};
use crate::wire::mbus::tpl::{self, Header};

use super::fragments::{Authentication, FragmentStore, Origin, Taken};
use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::open::Step;
use super::opened::{KeyName, Opened, Security, Verified};
use super::refusal::Refusal;
use super::secured::{self, Found, Secured};

/// Octets of the fixed structure of old wired meters.
const FIXED_OCTETS: usize = 16;
/// From here on no security mode is defined.
const RESERVED_MODES: u8 = 16;
/// Octets of the check of an extended link layer with a session.
const SESSION_CHECK: usize = 2;

/// What is kept of a reading while it is made.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    head: Vec<u8>,
    message: Vec<u8>,
    trial: Vec<u8>,
}

/// Takes the layers above the link off. `named` becomes the meter that the telegram names, whatever
/// comes of it.
pub(super) fn open_layers<'a>(
    link: &Link<'_>,
    keys: &impl MeterKeys,
    fragments: &mut impl FragmentStore,
    now_ms: u64,
    buffers: &'a mut Buffers,
    named: &mut Option<Address>,
) -> Result<Step<'a>, Refusal> {
    let Buffers {
        head,
        message,
        trial,
    } = buffers;
    *named = link.sender;
    if link.body.is_empty() {
        return Ok(Step::LinkOnly {
            format: link.format,
            c_field: link.c_field,
        });
    }
    message.clear();
    message.extend_from_slice(link.body);
    let mut at = 0;
    let extended = extended_link(link, keys, message, &mut at, trial)?;
    let layers_end = at;
    let mut about = None;
    if let Some(afl) = authentication(link, message, at)? {
        if afl.is_fragment() {
            let Some(sender) = link.sender else {
                return Err(refused(link, at, MbusErrorKind::Fragment, "no sender"));
            };
            let origin = Origin {
                sender,
                is_downlink: link.is_downlink(),
                access_number: extended.layer.map(|layer| layer.access_number),
            };
            let octets = message.get(at..).unwrap_or_default();
            let offset = link.body_offset.saturating_add(at);
            let taken = fragments
                .use_fragments(|fragments| fragments.take(now_ms, origin, &afl, octets, offset));
            match taken.map_err(Refusal::Octets)? {
                Taken::Kept => {
                    let fragment = afl.fragment;
                    return Ok(Step::FragmentKept { sender, fragment });
                }
                Taken::Whole(whole, of_all) => {
                    about = Some(of_all);
                    keep_head(head, link, message.get(..layers_end).unwrap_or_default());
                    *message = whole;
                    at = 0;
                }
            }
        } else {
            about = Some(Authentication::of(&afl));
            at = at.saturating_add(afl.len);
            keep_head(head, link, message.get(..at).unwrap_or_default());
        }
    } else {
        keep_head(head, link, message.get(..at).unwrap_or_default());
    }
    let body = Message {
        link,
        extended,
        about,
        at,
    };
    let opened = transport(&body, keys, (head, message, trial), named)?;
    Ok(Step::Opened(opened))
}

/// A refusal at a place of the body.
fn refused(link: &Link<'_>, at: usize, kind: MbusErrorKind, field: &'static str) -> Refusal {
    let offset = link.body_offset.saturating_add(at);
    Refusal::Octets(MbusError::new(offset, kind, field))
}

/// The clear octets before the transport header, as they are kept with the plaintext.
fn keep_head(head: &mut Vec<u8>, link: &Link<'_>, layers: &[u8]) {
    head.clear();
    if let (Some(c_field), Some(sender)) = (link.c_field, link.sender) {
        head.push(c_field);
        head.extend(sender.link_order());
    }
    head.extend_from_slice(layers);
}

/// What an extended link layer did.
#[derive(Clone, Copy, Debug, Default)]
struct Extended {
    layer: Option<ExtendedLink>,
    is_encrypted: bool,
    key: Option<KeyName>,
}

/// Takes the extended link layer off, if there is one. `at` moves behind it.
// clause: EN 13757-4, 13.2.9
fn extended_link(
    link: &Link<'_>,
    keys: &impl MeterKeys,
    message: &mut [u8],
    at: &mut usize,
    trial: &mut Vec<u8>,
) -> Result<Extended, Refusal> {
    let ci = message.first().copied().unwrap_or_default();
    let Some(Announced::ExtendedLink {
        has_address,
        has_session,
    }) = announced(ci, link.format.is_wired(), false)
    else {
        return Ok(Extended::default());
    };
    let layer = ExtendedLink::read(message, link.body_offset, has_address, has_session);
    let layer = layer.map_err(Refusal::Octets)?;
    *at = layer.len;
    let mut extended = Extended {
        layer: Some(layer),
        ..Extended::default()
    };
    let Some(session) = layer.session else {
        return Ok(extended);
    };
    let secured = message.get_mut(layer.len..).unwrap_or_default();
    match session.encryption() {
        0 if ell_check(secured) => {}
        0 => {
            let field = "check of the extended link layer";
            return Err(refused(link, layer.len, MbusErrorKind::Checksum, field));
        }
        1 => {
            trial.clear();
            trial.extend_from_slice(secured);
            let number = session.number;
            match decrypt_link(link.sender, &layer, number, keys, secured, trial) {
                Ok(name) => {
                    extended.is_encrypted = true;
                    extended.key = Some(name);
                }
                // Some recorders keep what they decrypted, and leave the session number as it
                // was. That is a clear telegram, whatever it says.
                Err(_) if keys.takes_decrypted() && ell_check(trial) => {
                    secured.copy_from_slice(trial)
                }
                Err(refusal) => {
                    secured.fill(0);
                    return Err(refusal);
                }
            }
        }
        _ => {
            return Err(Refusal::UnsupportedSecurity(
                "this encryption of the extended link layer",
            ));
        }
    }
    *at = at.saturating_add(SESSION_CHECK);
    Ok(extended)
}

/// Decrypts in place under the sender's key; `trial` keeps what came.
fn decrypt_link(
    sender: Option<Address>,
    layer: &ExtendedLink,
    number: [u8; 4],
    keys: &impl MeterKeys,
    secured: &mut [u8],
    trial: &[u8],
) -> Result<KeyName, Refusal> {
    let id = KeyId::PERSISTENT;
    let sender = sender.ok_or(Refusal::NoKey { id, version: None })?;
    let (mut found, mut attempts) = (None, 0_usize);
    keys.visit(sender, id, &mut |version: KeyVersion, key| {
        attempts = attempts.saturating_add(1);
        secured.copy_from_slice(trial);
        ell_ctr(key, sender.link_order(), layer.control, number, secured);
        if ell_check(secured) {
            found = Some(KeyName { id, version });
        }
        found.is_none() && attempts < secured::VERSIONS_MAX
    });
    found.ok_or(match attempts {
        0 => Refusal::NoKey { id, version: None },
        _ => Refusal::WrongKey,
    })
}

/// The authentication and fragmentation layer at `at`, if one stands there.
fn authentication<'m>(
    link: &Link<'_>,
    message: &'m [u8],
    at: usize,
) -> Result<Option<Afl<'m>>, Refusal> {
    let rest = message.get(at..).unwrap_or_default();
    let ci = rest.first().copied();
    match ci.and_then(|ci| announced(ci, link.format.is_wired(), false)) {
        Some(Announced::Authentication) => {
            let offset = link.body_offset.saturating_add(at);
            Afl::read(rest, offset).map(Some).map_err(Refusal::Octets)
        }
        _ => Ok(None),
    }
}

/// A message whose layers below the transport were taken off.
struct Message<'l, 't> {
    link: &'l Link<'t>,
    extended: Extended,
    about: Option<Authentication>,
    /// Where the transport header stands in the buffer.
    at: usize,
}

/// The transport header of a message, and where it stands in the telegram.
fn header_of(link: &Link<'_>, at: usize, rest: &[u8]) -> Result<(Header, usize), Refusal> {
    let is_wired = link.format.is_wired();
    let Some((ci, after)) = rest.split_first() else {
        return Err(refused(link, at, MbusErrorKind::Truncated, "CI field"));
    };
    let kind = match announced(*ci, is_wired, after.len() == FIXED_OCTETS) {
        Some(Announced::Transport(kind)) => kind,
        // What no table knows is kept whole.
        None => HeaderKind::None,
        Some(Announced::OtherLayer) => {
            return Err(refused(
                link,
                at,
                MbusErrorKind::UnsupportedCi(*ci),
                "CI field",
            ));
        }
        Some(_) => {
            return Err(refused(
                link,
                at,
                MbusErrorKind::Reserved,
                "order of layers",
            ));
        }
    };
    let high_octet_first = is_wired && *ci == 0x76;
    let offset = link.body_offset.saturating_add(at);
    let mut header = Header::read(rest, offset, kind, high_octet_first).map_err(Refusal::Octets)?;
    if let (true, tpl::Announced::Other(RESERVED_MODES..)) = (is_wired, header.security) {
        // Old wired meters have a signature in this place, which says nothing.
        header.security = tpl::Announced::Clear;
    }
    Ok((header, offset))
}

fn transport<'a>(
    of: &Message<'_, '_>,
    keys: &impl MeterKeys,
    (head, message, trial): (&'a mut Vec<u8>, &'a mut [u8], &mut Vec<u8>),
    named: &mut Option<Address>,
) -> Result<Opened<'a>, Refusal> {
    let (link, at) = (of.link, of.at);
    let rest = message.get(at..).unwrap_or_default();
    let (header, offset) = header_of(link, at, rest)?;
    head.extend_from_slice(rest.get(..header.len).unwrap_or_default());
    // Without a link layer only the CI field tells who speaks.
    let is_downlink = match link.format {
        Format::TransportFirst => is_to_meter(header.ci),
        _ => link.is_downlink(),
    };
    let of_link = if is_downlink {
        of.extended.layer.and_then(|layer| layer.address)
    } else {
        link.sender
    };
    let meter = header.address.or(of_link);
    *named = meter;
    let policy = meter.map_or(Policy::ClearAllowed, |meter| keys.policy(meter));
    let from_transport = message.get_mut(at..).unwrap_or_default();
    let secured = Secured {
        header: &header,
        about: of.about.as_ref(),
        meter,
        is_downlink,
        policy,
    };
    let found = secured::open(&secured, keys, from_transport, trial)?;
    // The key of a radio adapter vouches for the adapter: not for the meter whose data it carries.
    let of_ell = of.extended.key.filter(|_| meter == link.sender);
    if policy == Policy::MustBeEncrypted
        && !(found.is_encrypted || of_ell.is_some())
        && !may_be_clear(header.ci, found.payload.is_empty())
    {
        return Err(Refusal::ClearNotAllowed);
    }
    Ok(Opened {
        meter,
        sender: link.sender,
        format: link.format,
        c_field: link.c_field,
        is_downlink,
        trailing_octets: link.trailing_octets,
        security: security_of(header.mode(), of.extended.is_encrypted, of_ell, &found),
        doubt: None,
        access_number: header.access_number,
        status: header.status,
        ci: header.ci,
        is_wired: link.format.is_wired(),
        head,
        payload: message
            .get(at..)
            .and_then(|rest| rest.get(found.payload.clone()))
            .unwrap_or_default(),
        payload_offset: offset.saturating_add(found.payload.start),
    })
}

/// What is proven, by the layers together. `of_ell` is the key of the extended link layer, where it
/// counts.
fn security_of(mode: u8, link_encrypted: bool, of_ell: Option<KeyName>, found: &Found) -> Security {
    Security {
        mode,
        link_encrypted,
        verified: match of_ell {
            Some(_) => found.verified.max(Verified::CheckBytes),
            None => found.verified,
        },
        key: found.key.or(of_ell),
        counter: found.counter,
        clear_tail_octets: found.clear_tail_octets,
        withheld_octets: found.withheld_octets,
        cut_octets: found.cut_octets,
    }
}

/// Application errors are always sent in clear, and a transport header alone has nothing to
/// encrypt. Both come as unauthenticated, and are no alarms.
// clause: OMS Volume 2, 7.2.3
const fn may_be_clear(ci: u8, is_empty: bool) -> bool {
    matches!(ci, 0x6E..=0x70) || (matches!(ci, 0x8A | 0x8B) && is_empty)
}
