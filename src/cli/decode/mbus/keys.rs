//! The keys of a line: its own, or those of a key file.

use crate::crypto::key::Key128;
use crate::keyring::mbus::{KeyId, KeyVersion, MeterKeyring, MeterKeys, Policy};
use crate::wire::mbus::address::Address;

/// The key of a line serves for whatever the telegram asks for. Without one the key file is asked.
pub(super) struct LineKeys<'a> {
    pub(super) one: Option<&'a Key128>,
    pub(super) ring: &'a MeterKeyring,
}

impl MeterKeys for LineKeys<'_> {
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        match self.one {
            // Whatever version a telegram names, it is that of the only key.
            Some(key) => {
                let _goes_on = (0..=u8::MAX).all(|version| visit(KeyVersion(version), key));
            }
            None => self.ring.visit(meter, id, visit),
        }
    }

    fn takes_decrypted(&self) -> bool {
        true
    }

    /// A tool for people shows what is in clear, and says that it is.
    fn policy(&self, _: Address) -> Policy {
        Policy::ClearAllowed
    }
}
