//! How long an UPLINK has to be, so that its length does not tell what was used in a house.

use crate::wire::error::EncodeError;

use super::ident::Mode;
use super::limits::{FRAME_MAX, ROUTINE_MIN};

/// The step between two lengths of padded frames, in octets.
const STEP: usize = 64;

/// Whether a frame of modes 1 to 3 has one of the lengths 128, 192, 256, … 1,152, 1,200.
// spec: FRM-10, FRM-12
#[must_use]
pub const fn is_on_ladder(frame_len: usize) -> bool {
    frame_len == FRAME_MAX
        || (frame_len >= ROUTINE_MIN && frame_len < FRAME_MAX && frame_len.is_multiple_of(STEP))
}

/// The least length of the ladder that holds a frame of `unpadded` octets (header, plaintext and
/// tag) and is not below the routine size.
///
/// # Errors
///
/// [`EncodeError::NoRoom`] if either is above 1,200.
// spec: FRM-10, FRM-11
pub fn padded_len(unpadded: usize, routine_size: usize) -> Result<usize, EncodeError> {
    let wanted = unpadded.max(routine_size).max(ROUTINE_MIN);
    if wanted > FRAME_MAX {
        return Err(EncodeError::NoRoom);
    }
    let step = wanted.next_multiple_of(STEP);
    Ok(step.min(FRAME_MAX))
}

/// The octets of padding for a frame of `unpadded` octets; none in mode 0.
///
/// # Errors
///
/// [`EncodeError::NoRoom`] if the frame or the routine size is above 1,200.
// spec: FRM-10, FRM-11, FRM-13
pub fn padding_for(mode: Mode, unpadded: usize, routine_size: usize) -> Result<u16, EncodeError> {
    if mode == Mode::Clear {
        return if unpadded > FRAME_MAX {
            Err(EncodeError::NoRoom)
        } else {
            Ok(0)
        };
    }
    let padded = padded_len(unpadded, routine_size)?;
    u16::try_from(padded.saturating_sub(unpadded)).map_err(|_| EncodeError::NoRoom)
}

/// The routine size after a frame with one day's everyday records alone, which needed `unpadded`
/// octets. It never shrinks.
///
/// # Errors
///
/// [`EncodeError::NoRoom`] if either is above 1,200.
// spec: FRM-11
pub fn routine_size_after(routine_size: usize, unpadded: usize) -> Result<usize, EncodeError> {
    padded_len(unpadded, routine_size)
}
