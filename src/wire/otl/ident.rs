//! Identities, nonces, key versions and modes: the small fields that headers are made of.

use core::fmt;
use core::num::NonZeroU8;

use crate::wire::hex::Hex;

use super::limits::{COUNTER_MAX, COUNTER_MIN};

/// Which side sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From terminal to server.
    FromTerminal,
    /// From server to terminal.
    FromServer,
}

/// A security mode. It is pinned at both ends and never negotiated.
///
/// The names are those of `registries/security-modes.toml`; [`Mode::Clear`] is its `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// 0: no protection, for laboratories.
    Clear,
    /// 1: AES-128-CCM under a static key.
    CcmStatic,
    /// 2: AES-128-CCM under a session key.
    CcmSession,
    /// 3: AES-256-GCM under a session key.
    GcmSession,
}

impl Mode {
    /// All modes, by number.
    pub const ALL: [Self; 4] = [
        Self::Clear,
        Self::CcmStatic,
        Self::CcmSession,
        Self::GcmSession,
    ];

    /// The mode with a number; none for 4 and above.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Clear),
            1 => Some(Self::CcmStatic),
            2 => Some(Self::CcmSession),
            3 => Some(Self::GcmSession),
            _ => None,
        }
    }

    /// The number of the mode, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::CcmStatic => 1,
            Self::CcmSession => 2,
            Self::GcmSession => 3,
        }
    }

    /// The id in `registries/security-modes.toml`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Clear => "none",
            Self::CcmStatic => "ccm_static",
            Self::CcmSession => "ccm_session",
            Self::GcmSession => "gcm_session",
        }
    }

    /// The octets of the tag: 0, 8, 8 or 16.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Clear => 0,
            Self::CcmStatic | Self::CcmSession => 8,
            Self::GcmSession => 16,
        }
    }

    /// The octets of the header of an UPLINK: 15, 23, 31 or 31.
    #[must_use]
    pub const fn uplink_header_len(self) -> usize {
        match self {
            Self::Clear => 15,
            Self::CcmStatic => 23,
            Self::CcmSession | Self::GcmSession => 31,
        }
    }

    /// The octets of the header of an ANSWER: 6 in mode 0, else 14.
    #[must_use]
    pub const fn answer_header_len(self) -> usize {
        match self {
            Self::Clear => 6,
            Self::CcmStatic | Self::CcmSession | Self::GcmSession => 14,
        }
    }

    /// Whether the key is made for one session from both sides' nonces.
    #[must_use]
    pub const fn has_session_key(self) -> bool {
        matches!(self, Self::CcmSession | Self::GcmSession)
    }

    /// The mode as it stands in the flags octet, bits 7 to 5.
    pub(crate) const fn bits(self) -> u8 {
        self.number() << 5
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.id())
    }
}

/// The identity of a terminal: maker u16 and serial u48. It is not secret and never changes.
// spec: ID-1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 8]);

impl Identity {
    /// An identity from its octets.
    #[must_use]
    pub const fn new(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// An identity from its parts; none for a serial of more than 48 bits.
    // spec: ID-1
    #[must_use]
    pub const fn from_parts(maker: u16, serial: u64) -> Option<Self> {
        let [m0, m1] = maker.to_be_bytes();
        match serial.to_be_bytes() {
            [0, 0, s0, s1, s2, s3, s4, s5] => Some(Self([m0, m1, s0, s1, s2, s3, s4, s5])),
            _ => None,
        }
    }

    /// The octets as they stand on the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }

    /// The number of the maker; 0 is reserved for tests.
    // spec: ID-3
    #[must_use]
    pub const fn maker(self) -> u16 {
        let [m0, m1, ..] = self.0;
        u16::from_be_bytes([m0, m1])
    }

    /// The serial that the maker gave, at most 2^48 − 1.
    #[must_use]
    pub const fn serial(self) -> u64 {
        let [_, _, s0, s1, s2, s3, s4, s5] = self.0;
        u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5])
    }

    /// Whether the serial can stand for an eleven-digit unit number.
    // spec: ID-2
    #[must_use]
    pub const fn is_eleven_digit(self) -> bool {
        self.serial() <= 99_999_999_999
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// The counter of a frame: 1 to 0xFFFF_0000. It makes the nonce, and is not the record sequence.
// spec: NON-5
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameCounter(u32);

impl FrameCounter {
    /// The first counter that a terminal uses.
    pub const FIRST: Self = Self(COUNTER_MIN);
    /// The last counter that a terminal uses.
    pub const LAST: Self = Self(COUNTER_MAX);

    /// A counter; none for 0 and above 0xFFFF_0000.
    #[must_use]
    pub const fn new(counter: u32) -> Option<Self> {
        match counter {
            COUNTER_MIN..=COUNTER_MAX => Some(Self(counter)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for FrameCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A server nonce, Ns: UTC seconds u32 and 32 random bits. Echoed, it is a ticket.
// spec: NON-7
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ns([u8; 8]);

impl Ns {
    /// The ticket of a terminal that has none.
    // spec: FRS-1
    pub const ZERO: Self = Self([0; 8]);

    /// A nonce from its octets.
    #[must_use]
    pub const fn new(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// A nonce from the server's UTC seconds and 32 random bits.
    // spec: NON-7
    #[must_use]
    pub const fn from_parts(utc_s: u32, random: u32) -> Self {
        let [t0, t1, t2, t3] = utc_s.to_be_bytes();
        let [r0, r1, r2, r3] = random.to_be_bytes();
        Self([t0, t1, t2, t3, r0, r1, r2, r3])
    }

    /// The octets as they stand on the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }

    /// The server's UTC seconds since 1970.
    #[must_use]
    pub const fn utc_s(self) -> u32 {
        let [t0, t1, t2, t3, ..] = self.0;
        u32::from_be_bytes([t0, t1, t2, t3])
    }

    /// Whether it is the ticket of a terminal that has none.
    // spec: FRS-1
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A terminal nonce, Nt: 8 random octets, fresh for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalNonce(pub [u8; 8]);

impl fmt::Display for TerminalNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A resync nonce, Nr: 16 random octets, fresh for each RESYNC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResyncNonce(pub [u8; 16]);

impl fmt::Display for ResyncNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// The version of a key, 1 to 255; each purpose counts its own.
// spec: KEY-7
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion(NonZeroU8);

impl KeyVersion {
    /// A version; none for 0.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, 1 to 255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
