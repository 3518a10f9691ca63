//! UPLINK and RESYNC frames.

use super::EncodeError;
use super::report::Report;
use super::wire::Writer;
use crate::crypto::{SecretKey, seal};
use crate::keys::{Identity, Mode};

/// The longest frame.
pub const MAX_FRAME: usize = 1_200;
/// The shortest padded frame.
pub const MIN_PADDED: usize = 128;
/// Octets of a RESYNC frame.
pub const RESYNC_OCTETS: usize = 64;
/// Octets of a RESYNC header.
pub const RESYNC_HEADER: usize = 27;

/// The smallest permitted length of a padded frame that holds `len` octets.
// spec: FRM-4, FRM-10
#[must_use]
pub fn ladder(len: usize) -> Option<usize> {
    if len > MAX_FRAME {
        return None;
    }
    Some(len.next_multiple_of(64).clamp(MIN_PADDED, MAX_FRAME))
}

/// The header fields of an UPLINK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkHeader {
    /// The pinned mode.
    pub mode: Mode,
    /// The frame holds an alarm notice.
    pub alarm: bool,
    /// The terminal waits for an answer.
    pub answer: bool,
    /// Link key version; sent as 0 in mode 0.
    pub key_version: u8,
    /// The terminal.
    pub identity: Identity,
    /// Frame counter.
    pub counter: u32,
    /// Ns of the last accepted answer, or zero; not sent in mode 0.
    pub ticket: [u8; 8],
    /// This session's nonce; sent in modes 2 and 3.
    pub nt: [u8; 8],
}

impl UplinkHeader {
    /// The uplink header as sent.
    // spec: FRM-5, FRM-6, FRM-8, GEN-7
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0x11);
        let alarm = u8::from(self.alarm) << 4;
        let answer = u8::from(self.answer) << 3;
        w.u8((self.mode.code() << 5) | alarm | answer);
        w.u8(if self.mode == Mode::Clear {
            0
        } else {
            self.key_version
        });
        w.bytes(&self.identity.0);
        w.u32(self.counter);
        if self.mode != Mode::Clear {
            w.bytes(&self.ticket);
        }
        if self.mode.has_session_key() {
            w.bytes(&self.nt);
        }
        w.into_vec()
    }

    /// Nt and ticket in the order of the key derivation.
    #[must_use]
    pub fn key_nonces(&self) -> [u8; 16] {
        let mut out = [0; 16];
        let both = self.nt.iter().chain(self.ticket.iter());
        for (to, from) in out.iter_mut().zip(both) {
            *to = *from;
        }
        out
    }
}

/// Identity or Ns, then a counter: the AEAD nonce.
// spec: NON-1
#[must_use]
pub fn aead_nonce(first: &[u8; 8], counter: u32) -> [u8; 12] {
    let mut out = [0; 12];
    let both = first.iter().copied().chain(counter.to_be_bytes());
    for (to, from) in out.iter_mut().zip(both) {
        *to = from;
    }
    out
}

/// A whole UPLINK. `plaintext` is report and items; `routine` is the least length of the frame.
///
/// # Errors
/// Plaintext that does not fit, or a key that does not fit the mode.
// spec: FRM-4, FRM-9, FRM-10, FRM-11, FRM-13, SEC-6, NON-1
pub fn uplink(
    header: &UplinkHeader,
    mut plaintext: Vec<u8>,
    routine: usize,
    key: Option<&SecretKey>,
) -> Result<Vec<u8>, EncodeError> {
    let mut frame = header.octets();
    let tag = header.mode.tag_octets();
    let needed = frame.len() + plaintext.len() + tag;
    let Some(cipher) = header.mode.cipher() else {
        if needed > MAX_FRAME {
            return Err(EncodeError::TooLong);
        }
        frame.extend_from_slice(&plaintext);
        return Ok(frame);
    };
    if header.key_version == 0 {
        return Err(EncodeError::BadValue("link key version"));
    }
    let total = ladder(needed.max(routine)).ok_or(EncodeError::TooLong)?;
    plaintext.resize(total - frame.len() - tag, 0);
    let key = key.ok_or(EncodeError::BadValue("key"))?;
    let nonce = aead_nonce(&header.identity.0, header.counter);
    let sealed = seal(cipher, key, &nonce, &frame, &plaintext)?;
    frame.extend_from_slice(&sealed);
    Ok(frame)
}

/// The header fields of a RESYNC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResyncHeader {
    /// The pinned mode, 1 to 3.
    pub mode: Mode,
    /// Link key version.
    pub key_version: u8,
    /// The terminal.
    pub identity: Identity,
    /// Resync nonce.
    pub nr: [u8; 16],
}

impl ResyncHeader {
    /// The header as sent.
    // spec: FRM-17, FRM-18
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0x12);
        w.u8((self.mode.code() << 5) | 0x08);
        w.u8(self.key_version);
        w.bytes(&self.identity.0);
        w.bytes(&self.nr);
        w.into_vec()
    }
}

/// A whole RESYNC of 64 octets.
///
/// # Errors
/// Mode 0, or a key that does not fit the mode.
// spec: FRM-14, FRM-17, RSY-1, REC-1, SEC-6
pub fn resync(
    header: &ResyncHeader,
    report: &Report,
    reason: u8,
    key: &SecretKey,
) -> Result<Vec<u8>, EncodeError> {
    let cipher = header.mode.cipher().ok_or(EncodeError::BadValue("mode"))?;
    let mut frame = header.octets();
    let mut w = Writer::new();
    report.encode(&mut w)?;
    w.u8(reason);
    let mut plaintext = w.into_vec();
    plaintext.resize(RESYNC_OCTETS - RESYNC_HEADER - header.mode.tag_octets(), 0);
    let nonce = aead_nonce(&header.identity.0, 0);
    let sealed = seal(cipher, key, &nonce, &frame, &plaintext)?;
    frame.extend_from_slice(&sealed);
    Ok(frame)
}
