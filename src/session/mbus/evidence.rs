//! What speaks for a reading of a telegram's octets, once its layers are off: keys that fit, and
//! else contents that a telegram can have.

use crate::wire::mbus::app::{Body, Item, OpaqueKind, RecordsKind};

use super::open::Step;
use super::opened::Verified;
use super::refusal::Refusal;

/// What speaks for a reading beside CRCs. Of damaged octets more cannot be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// A CI field or DIF behind which makers put what they like, or one of the other direction.
    Little,
    /// A CI field, and a transport header if it has one, behind which nothing stands.
    HeaderAlone,
    /// A first record, another content that has a form, or a key that is asked for.
    Content,
}

/// What speaks for a reading.
pub(super) fn told(step: &Result<Step<'_>, Refusal>) -> Told {
    let opened = match step {
        Ok(Step::Opened(opened)) => opened,
        Ok(Step::LinkOnly { .. }) | Err(Refusal::Octets(_)) => return Told::Nothing,
        Ok(Step::FragmentKept { .. }) | Err(_) => return Told::Content,
    };
    if is_vouched_for(step) {
        return Told::Content;
    }
    match Body::read(opened.ci, opened.is_wired, opened.payload) {
        Ok(Body::Records { .. } | Body::NoData) if opened.payload.is_empty() => Told::HeaderAlone,
        Ok(Body::Records { kind, mut records }) => {
            let is_command = kind == RecordsKind::Command;
            match records.next() {
                Some(Ok(Item::Record(_))) if is_command == opened.is_downlink => Told::Content,
                Some(Ok(Item::Record(_) | Item::Manufacturer { .. })) => Told::Little,
                _ => Told::Nothing,
            }
        }
        Ok(Body::Opaque { kind, .. }) => match kind {
            OpaqueKind::AlarmStatus => Told::Content,
            OpaqueKind::Manufacturer => Told::Little,
            _ => Told::Nothing,
        },
        Ok(_) => Told::Content,
        Err(_) => Told::Nothing,
    }
}

/// Whether a key vouches for what was opened.
pub(super) fn is_vouched_for(step: &Result<Step<'_>, Refusal>) -> bool {
    matches!(step, Ok(Step::Opened(opened)) if opened.security.verified > Verified::None)
}

/// Whether a key or records speak for what was opened. A protocol whose inside is not read takes
/// any octets, and so does a maker's part.
pub(super) fn is_told(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return true;
    };
    let is_record = |item| matches!(item, Ok(Item::Record(_)));
    let body = Body::read(opened.ci, opened.is_wired, opened.payload);
    is_vouched_for(step)
        || match body {
            Ok(Body::Records { records, .. }) => {
                records.restart().next().is_some() && records.restart().all(is_record)
            }
            _ => false,
        }
}

/// Whether a telegram has records, and none that cannot be read; a maker's part may be behind them.
pub(super) fn has_whole_records(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return false;
    };
    let has_records = matches!(
        Body::read(opened.ci, opened.is_wired, opened.payload),
        Ok(Body::Records { .. })
    );
    has_records && told(step) == Told::Content && makes_sense(step)
}

/// Whether a key proves the octets of a telegram to their end: under a MAC, in an encrypted link
/// layer, or as blocks of mode 5 behind which nothing is left. CRCs among them would have to be the
/// end of some.
pub(super) fn is_proven_whole(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return false;
    };
    let of = &opened.security;
    let is_filled = of.mode == 5 && of.clear_tail_octets == 0 && of.withheld_octets == 0;
    match of.verified {
        Verified::Mac => true,
        Verified::CheckBytes => (of.link_encrypted || is_filled) && makes_sense(step),
        Verified::None => false,
    }
}

/// Whether nothing speaks against the reading of a telegram that has two: all that can be checked
/// holds, and nothing ends too early.
pub(super) fn makes_sense(step: &Result<Step<'_>, Refusal>) -> bool {
    match step {
        Ok(Step::Opened(opened)) if opened.security.verified == Verified::Mac => true,
        Ok(Step::Opened(opened)) => {
            let body = Body::read(opened.ci, opened.is_wired, opened.payload);
            opened.security.cut_octets == 0
                && match body {
                    Ok(Body::Records { mut records, .. }) => records.all(|one| one.is_ok()),
                    body => body.is_ok(),
                }
        }
        Ok(_) | Err(Refusal::NoKey { .. }) => true,
        Err(_) => false,
    }
}
