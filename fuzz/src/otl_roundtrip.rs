//! What a decoder takes, the encoder gives back octet for octet: uplink bodies, answers, resyncs
//! and their answers, and parameters of commands.
//!
//! Each input is tried as each of them.

use kenshin::wire::otl::command::Parameters;
use kenshin::wire::otl::header::{FrameKind, Mode};
use kenshin::wire::otl::limits::RESYNC_LEN;
use kenshin::wire::otl::registry::commands::CommandKind;

use crate::content::Content;

/// Runs the target.
pub fn run(data: &[u8]) {
    for mode in [Mode::Clear, Mode::GcmSession] {
        round_trip(FrameKind::Uplink, data, mode);
        round_trip(FrameKind::Answer, data, mode);
    }
    round_trip(FrameKind::ResyncAnswer, data, Mode::CcmStatic);
    for mode in [Mode::CcmStatic, Mode::GcmSession] {
        // The length of a RESYNC is fixed; its header is refused with any other.
        let fixed = RESYNC_LEN
            .saturating_sub(FrameKind::Resync.header_len(mode))
            .saturating_sub(mode.tag_len());
        let mut padded = data.to_vec();
        padded.resize(fixed, 0);
        round_trip(FrameKind::Resync, &padded, mode);
    }
    if let Some((kind, octets)) = data.split_first() {
        parameters(CommandKind::from_code(*kind), octets);
    }
}

fn round_trip(kind: FrameKind, data: &[u8], mode: Mode) {
    if let Ok(value) = Content::decode(kind, data, 0, mode) {
        value.has_one_encoding(data, mode);
    }
}

fn parameters(kind: CommandKind, octets: &[u8]) {
    if let Some(value) = Parameters::decode(kind, octets) {
        assert_eq!(value.kind(), kind);
        assert_eq!(value.encode().as_deref(), Ok(octets));
    }
}
