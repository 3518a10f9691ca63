//! Bearer tokens.

use std::fmt;

use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Characters of a token, at least and at most.
pub const TOKEN_LEN: (usize, usize) = (24, 128);

/// A text that is no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a token is {} to {} printable characters of ASCII without spaces: make one from 24 random \
     octets or more",
    TOKEN_LEN.0,
    TOKEN_LEN.1
)]
pub struct NoToken;

/// A token, filled up to one length, so that comparing two takes the same time whatever they are.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; TOKEN_LEN.1]>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A token from the octets of its file or header; white space around it is left out.
    ///
    /// # Errors
    ///
    /// [`NoToken`].
    pub fn parse(octets: &[u8]) -> Result<Self, NoToken> {
        let octets = octets.trim_ascii();
        let is_long_enough = octets.len() >= TOKEN_LEN.0;
        if !is_long_enough || !octets.iter().all(u8::is_ascii_graphic) {
            return Err(NoToken);
        }
        let mut filled = Zeroizing::new([0; TOKEN_LEN.1]);
        let place = filled.get_mut(..octets.len()).ok_or(NoToken)?;
        place.copy_from_slice(octets);
        Ok(Self(filled))
    }

    /// The token, filled up with zeros.
    pub(super) fn octets(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(other.0.as_ref())
    }
}
