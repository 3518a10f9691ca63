//! Any octets as the plaintext of an uplink in each mode, decoded strictly and salvaged.

use kenshin::wire::otl::header::{FrameKind, Header, Mode};
use kenshin::wire::otl::uplink::UplinkBody;

use crate::content::{self, Content};
use crate::keys;

/// Runs the target.
pub fn run(data: &[u8]) {
    for mode in [Mode::Clear, Mode::CcmStatic] {
        let base_offset = FrameKind::Uplink.header_len(mode);
        if let Some((body, _)) = content::salvage_agrees(data, base_offset, mode) {
            assert!(usize::from(body.padding) <= data.len());
            assert!(mode != Mode::Clear || body.padding == 0);
            Content::Uplink(body).print(&Header::Uplink(keys::uplink_header(mode)));
        }
    }
    // What encrypts differs between these, what is encrypted does not.
    let strict = UplinkBody::decode(data, 0, Mode::CcmStatic);
    for mode in [Mode::CcmSession, Mode::GcmSession] {
        assert_eq!(UplinkBody::decode(data, 0, mode), strict);
    }
    // Offsets count from the start of the frame, and nothing else depends on where that is.
    let moved = UplinkBody::decode(data, 31, Mode::CcmStatic);
    let expected = strict.map_err(|mut error| {
        error.offset = error.offset.saturating_add(31);
        error
    });
    assert_eq!(moved, expected);
}
