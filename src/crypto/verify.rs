//! The one comparison of tags, and the fuzzing build's way around it.

use subtle::ConstantTimeEq as _;

/// A tag or MAC does not fit its octets and key.
///
/// It says nothing else on purpose: why a tag is wrong must not be told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("the authentication code does not verify")]
pub struct MacMismatch;

/// Compares two authentication codes in constant time.
///
/// # Errors
///
/// [`MacMismatch`] if they differ in length or in any octet.
// spec: SEC-5
pub(super) fn verify_equal(computed: &[u8], received: &[u8]) -> Result<(), MacMismatch> {
    if bool::from(computed.ct_eq(received)) || any_tag_accepted() {
        Ok(())
    } else {
        Err(MacMismatch)
    }
}

/// A build for production or tests has no way to switch verification off.
#[cfg(not(fuzzing))]
pub(super) const fn any_tag_accepted() -> bool {
    false
}

#[cfg(fuzzing)]
static ACCEPT_ANY_TAG: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Fuzzing builds only: lets every tag pass, so that a fuzzer, which cannot forge one, reaches what
/// lies behind it. Compiled only under `cfg(fuzzing)`, which cargo-fuzz sets and no feature or
/// profile of this package does; off until called.
#[cfg(fuzzing)]
pub fn accept_any_tag(accept: bool) {
    ACCEPT_ANY_TAG.store(accept, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(fuzzing)]
pub(super) fn any_tag_accepted() -> bool {
    ACCEPT_ANY_TAG.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_codes_pass_and_any_other_is_refused() {
        let code = [7_u8; 16];
        assert_eq!(verify_equal(&code, &code), Ok(()));
        assert_eq!(verify_equal(&code, &[7; 15]), Err(MacMismatch));
        assert_eq!(verify_equal(&code, &[]), Err(MacMismatch));
        for bit in 0..128 {
            let mut other = code;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_equal(&code, &other), Err(MacMismatch));
        }
    }

    #[test]
    fn this_build_cannot_switch_verification_off() {
        assert!(!any_tag_accepted());
    }
}
