//! What is registered of a terminal beside its keys.

use super::ids::UtilityId;
use crate::wire::otl::ident::Mode;

/// A terminal as the server knows it. No secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registration {
    /// The company whose keys apply.
    pub utility: UtilityId,
    /// The pinned mode.
    // spec: SEC-1
    pub mode: Mode,
    /// The mode of a change that was handed over and in which no frame has verified yet.
    // spec: ROT-11
    pub pending_mode: Option<Mode>,
    /// Whether the utility allows mode 0 for this terminal.
    // spec: SEC-3
    pub allow_mode0: bool,
    /// Whether a person entered it; only so is a terminal of maker 0 known.
    // spec: ID-3
    pub by_hand: bool,
    /// The highest link key version under which a frame has verified.
    // spec: ROT-5
    pub promoted_link_version: Option<u8>,
    /// Lower versions that an operator admitted again.
    // spec: ROT-7
    pub readmitted: VersionSet,
}

impl Registration {
    /// A terminal entered by hand, pinned to a mode, with nothing promoted.
    #[must_use]
    pub const fn new(utility: UtilityId, mode: Mode) -> Self {
        Self {
            utility,
            mode,
            pending_mode: None,
            allow_mode0: false,
            by_hand: true,
            promoted_link_version: None,
            readmitted: VersionSet::EMPTY,
        }
    }

    /// Whether a terminal of this identity may be known by this registration: one of maker 0 only
    /// if a person entered it.
    // spec: ID-3
    #[must_use]
    pub const fn is_known_as(&self, identity: &[u8; 8]) -> bool {
        let [maker_high, maker_low, ..] = *identity;
        self.by_hand || maker_high != 0 || maker_low != 0
    }

    /// Whether the pinned mode, or that of a pending change, is this one.
    // spec: SEC-1, ROT-11
    #[must_use]
    pub fn accepts_mode(&self, mode: Mode) -> bool {
        self.mode == mode || self.pending_mode == Some(mode)
    }

    /// Whether a version was left behind and not admitted again.
    // spec: ROT-7
    #[must_use]
    pub fn has_retired(&self, key_version: u8) -> bool {
        self.promoted_link_version
            .is_some_and(|promoted| key_version < promoted)
            && !self.readmitted.contains(key_version)
    }
}

/// A set of key versions. Empty for nearly all terminals, and then one word long.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionSet(Option<Box<[u64; 4]>>);

impl VersionSet {
    /// The set without versions.
    pub const EMPTY: Self = Self(None);

    /// Whether a version is in the set.
    #[must_use]
    pub fn contains(&self, version: u8) -> bool {
        let (word, mask) = Self::place(version);
        let words = self.0.as_deref();
        words
            .and_then(|words| words.get(word))
            .is_some_and(|bits| bits & mask != 0)
    }

    /// Adds a version; says whether it is new.
    pub fn insert(&mut self, version: u8) -> bool {
        let (word, mask) = Self::place(version);
        let words = self.0.get_or_insert_default();
        words.get_mut(word).is_some_and(|bits| {
            let is_new = *bits & mask == 0;
            *bits |= mask;
            is_new
        })
    }

    /// Takes all versions out.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The versions in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|version| self.contains(*version))
    }

    fn place(version: u8) -> (usize, u64) {
        (usize::from(version >> 6), 1 << (version & 0x3F))
    }
}
