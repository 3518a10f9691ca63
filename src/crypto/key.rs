//! Secret octets, and the keys of the upper tree levels typed by their purpose.
//!
//! What sits lower in the tree (traffic, command and wrap keys) is in [`otl`](super::otl): it
//! exists only in the form that a cipher needs.

use std::fmt;
use std::marker::PhantomData;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use super::cmac::CmacKey;
pub use super::purpose::{Command, KeyEncryption, KeyPurpose, Link, Purpose};

/// Defines a secret of a fixed number of octets.
macro_rules! secret_octets {
    ($(#[$doc:meta])* $name:ident, $octets:literal) => {
        $(#[$doc])*
        ///
        /// Wiped on drop, redacted in `Debug`, compared in constant time, not `Clone`.
        #[derive(ZeroizeOnDrop)]
        pub struct $name([u8; $octets]);

        impl $name {
            /// Takes the octets over and wipes the caller's copy.
            #[must_use]
            pub fn take(octets: &mut [u8; $octets]) -> Self {
                let key = Self(*octets);
                octets.zeroize();
                key
            }

            /// The secret itself, for ciphers and for sealing.
            pub(crate) const fn expose(&self) -> &[u8; $octets] {
                &self.0
            }
        }

        impl From<[u8; $octets]> for $name {
            /// Copies the octets in; wiping the original is the caller's matter, see
            /// [`Self::take`].
            fn from(octets: [u8; $octets]) -> Self {
                Self(octets)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        impl ConstantTimeEq for $name {
            fn ct_eq(&self, other: &Self) -> Choice {
                self.0.ct_eq(&other.0)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.ct_eq(other).into()
            }
        }

        impl Eq for $name {}
    };
}

secret_octets!(
    /// A secret of 16 octets.
    Key128,
    16
);
secret_octets!(
    /// A secret of 32 octets.
    Key256,
    32
);

/// The two lengths of keys in OTL.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeyLength {
    /// 16 octets, AES-128.
    Short,
    /// 32 octets, AES-256.
    Long,
}

impl KeyLength {
    /// Octets of a key of this length: 16 or 32.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Short => 16,
            Self::Long => 32,
        }
    }

    /// Bits of a key of this length: 128 or 256.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Short => 128,
            Self::Long => 256,
        }
    }
}

/// A key has neither 16 nor 32 octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key has 16 or 32 octets, not {octets}")]
pub struct KeyLengthError {
    /// Octets that were given.
    pub octets: usize,
}

/// A secret of 16 or 32 octets.
#[derive(Eq, PartialEq)]
pub enum KeyOctets {
    /// 16 octets.
    Short(Key128),
    /// 32 octets.
    Long(Key256),
}

impl KeyOctets {
    /// Copies a key out of octets; wiping those is the caller's matter.
    ///
    /// # Errors
    ///
    /// [`KeyLengthError`] for any length but 16 and 32.
    pub fn from_slice(octets: &[u8]) -> Result<Self, KeyLengthError> {
        if let Ok(short) = <&[u8; 16]>::try_from(octets) {
            Ok(Self::Short(Key128(*short)))
        } else if let Ok(long) = <&[u8; 32]>::try_from(octets) {
            Ok(Self::Long(Key256(*long)))
        } else {
            Err(KeyLengthError {
                octets: octets.len(),
            })
        }
    }

    /// Which of the two lengths it has.
    #[must_use]
    pub const fn length(&self) -> KeyLength {
        match self {
            Self::Short(_) => KeyLength::Short,
            Self::Long(_) => KeyLength::Long,
        }
    }

    /// The secret itself, for ciphers and for sealing.
    pub(crate) const fn expose(&self) -> &[u8] {
        match self {
            Self::Short(key) => key.expose(),
            Self::Long(key) => key.expose(),
        }
    }
}

impl fmt::Debug for KeyOctets {
    /// Writes the length, which is no secret, and nothing of the octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(key) => key.fmt(f),
            Self::Long(key) => key.fmt(f),
        }
    }
}

/// A root of one purpose: the master of one utility and version, from which the base keys of all
/// its terminals come.
///
/// It holds its expanded form beside its octets, so that a derivation costs no key expansion.
pub struct Master<P: KeyPurpose> {
    octets: KeyOctets,
    pub(super) cmac: CmacKey,
    purpose: PhantomData<P>,
}

impl<P: KeyPurpose> Master<P> {
    /// A master of this purpose.
    #[must_use]
    pub fn new(octets: KeyOctets) -> Self {
        let cmac = CmacKey::new(&octets);
        Self {
            octets,
            cmac,
            purpose: PhantomData,
        }
    }

    /// Length of the master, and so of the base keys that come from it.
    #[must_use]
    pub const fn length(&self) -> KeyLength {
        self.octets.length()
    }

    /// The secret itself, for sealing.
    pub(crate) const fn octets(&self) -> &KeyOctets {
        &self.octets
    }
}

impl<P: KeyPurpose> fmt::Debug for Master<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Master<{}>({:?})", P::PURPOSE.id(), self.octets)
    }
}

impl<P: KeyPurpose> PartialEq for Master<P> {
    /// Compares the octets in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl<P: KeyPurpose> Eq for Master<P> {}

/// The base key of one terminal, purpose and version: derived from a master, or imported.
///
/// An imported key takes the same place in the tree as a derived one, and so never serves traffic,
/// commands or wrapping itself.
// spec: KEY-6
pub struct BaseKey<P: KeyPurpose> {
    octets: KeyOctets,
    purpose: PhantomData<P>,
}

impl<P: KeyPurpose> BaseKey<P> {
    /// A base key given by its octets.
    #[must_use]
    pub const fn import(octets: KeyOctets) -> Self {
        Self {
            octets,
            purpose: PhantomData,
        }
    }

    /// A second copy of the secret. There is no `Clone`, so that copies stand out.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::import(match &self.octets {
            KeyOctets::Short(key) => KeyOctets::Short(Key128(key.0)),
            KeyOctets::Long(key) => KeyOctets::Long(Key256(key.0)),
        })
    }

    /// Its length.
    #[must_use]
    pub const fn length(&self) -> KeyLength {
        self.octets.length()
    }

    /// The secret itself, for expansion, wrapping and sealing.
    pub(crate) const fn octets(&self) -> &KeyOctets {
        &self.octets
    }
}

impl<P: KeyPurpose> fmt::Debug for BaseKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseKey<{}>({:?})", P::PURPOSE.id(), self.octets)
    }
}

impl<P: KeyPurpose> PartialEq for BaseKey<P> {
    /// Compares the octets in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl<P: KeyPurpose> Eq for BaseKey<P> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_every_secret_is_redacted() {
        let texts = [
            format!("{:?}", Key128::from([0xAB; 16])),
            format!("{:?}", Key256::from([0xAB; 32])),
            format!("{:?}", KeyOctets::from_slice(&[0xAB; 32]).unwrap()),
            format!(
                "{:?}",
                Master::<Link>::new(KeyOctets::Short([0xAB; 16].into()))
            ),
            format!(
                "{:?}",
                BaseKey::<Command>::import(KeyOctets::Short([0xAB; 16].into()))
            ),
        ];
        for text in texts {
            assert!(text.contains("[redacted]"), "{text}");
            assert!(
                !text.to_lowercase().contains("ab,") && !text.contains("171"),
                "{text}"
            );
        }
    }

    #[test]
    fn taking_octets_over_wipes_the_callers_copy() {
        let mut octets = [9_u8; 16];
        let key = Key128::take(&mut octets);
        assert_eq!(octets, [0; 16]);
        assert_eq!(key, Key128::from([9; 16]));
    }

    #[test]
    fn keys_are_equal_only_in_all_octets_and_length() {
        assert_ne!(Key256::from([1; 32]), Key256::from([2; 32]));
        let short = KeyOctets::from_slice(&[1; 16]).unwrap();
        let long = KeyOctets::from_slice(&[1; 32]).unwrap();
        assert_ne!(short, long);
        assert_eq!((short.length().octets(), long.length().bits()), (16, 256));
    }

    #[test]
    fn other_key_lengths_are_refused() {
        for octets in (0..40).filter(|n| ![16, 32].contains(n)) {
            assert_eq!(
                KeyOctets::from_slice(&vec![0; octets]),
                Err(KeyLengthError { octets })
            );
        }
    }

    #[test]
    fn purposes_and_codes_are_one_to_one() {
        for code in 0..=255 {
            if let Some(purpose) = Purpose::from_code(code) {
                assert_eq!(purpose.code(), code);
            }
        }
        assert_eq!(
            (
                Link::PURPOSE.code(),
                Command::PURPOSE.code(),
                KeyEncryption::PURPOSE.code()
            ),
            (1, 2, 3)
        );
    }
}
