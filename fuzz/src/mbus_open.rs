//! Secured telegrams, opened with one key for every meter, and their content.
//!
//! Under `cfg(fuzzing)` MACs, tags and check octets pass where this target asks for it, so that the
//! plaintext behind them is reached.

use kenshin::crypto::key::Key128;
use kenshin::session::mbus::keys::NoKeys;
use kenshin::session::mbus::{
    Fragments, KeyId, KeyVersion, MeterKeys, Policy, Scratch, Step, Verified, open,
};
use kenshin::wire::mbus::address::Address;
use kenshin::wire::mbus::app::{Body, json};
use kenshin::wire::mbus::link::Carriage;

/// One key for every meter.
struct One(Key128, Policy);

impl MeterKeys for One {
    fn visit(&self, _: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        if id.0 <= 0x0F {
            visit(KeyVersion(1), &self.0);
        }
    }

    fn policy(&self, _: Address) -> Policy {
        self.1
    }
}

/// Runs the target: a telegram, which is opened without a key, with a key, and with any tag.
pub fn run(data: &[u8]) {
    attempt(data, &NoKeys);
    for policy in [Policy::ClearAllowed, Policy::MustBeEncrypted] {
        let key = One(Key128::from(*b"kenshin fuzz key"), policy);
        attempt(data, &key);
        any_tag(true);
        attempt(data, &key);
        any_tag(false);
    }
}

#[cfg(fuzzing)]
fn any_tag(accept: bool) {
    kenshin::crypto::accept_any_tag(accept);
}

#[cfg(not(fuzzing))]
fn any_tag(_: bool) {}

fn attempt(data: &[u8], keys: &impl MeterKeys) {
    for carriage in [Carriage::Auto, Carriage::TransportFirst] {
        let mut fragments = Fragments::default();
        let mut scratch = Scratch::default();
        let step = open(data, carriage, keys, &mut fragments, 0, &mut scratch);
        let Ok(Step::Opened(opened)) = step else {
            continue;
        };
        assert!(opened.payload.len() <= data.len());
        let security = &opened.security;
        assert_eq!(security.verified == Verified::None, security.key.is_none());
        assert!(security.clear_tail_octets <= opened.payload.len());
        let read = Body::read(opened.ci, opened.is_wired, opened.payload);
        if let Ok(body) = read {
            let mut text = String::new();
            json::write_body(&mut text, opened.ci, &body);
        }
    }
}
