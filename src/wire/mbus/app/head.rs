//! What stands before the data of a record: DIF, DIFE, VIF, VIFE and a unit in plain text.

/// More DIFE or VIFE than this make a record wrong.
// clause: EN 13757-3, 6.3 and 6.4
pub(super) const EXTENSIONS_MAX: usize = 10;

/// The head of one record, its parts as places in the octets that it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) dif: u8,
    pub(super) storage: u64,
    pub(super) tariff: u32,
    pub(super) subunit: u16,
    /// Whether the last DIFE is 00h.
    pub(super) is_register: bool,
    pub(super) dife_count: usize,
    /// Where the VIF stands.
    pub(super) vif_at: usize,
    /// Where the VIFE end.
    pub(super) vib_end: usize,
    /// Where the plain text begins and ends; both 0 if there is none.
    pub(super) text: (usize, usize),
    /// The octets of all of it.
    pub(super) len: usize,
}

/// The field that the octets ended in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missing {
    Dife,
    Vif,
    Vife,
    Text,
}

impl Head {
    /// Reads the head at the start of `octets`, the first of which is the DIF.
    ///
    /// Any number of extensions is read, so that what is behind too many can still be found.
    #[inline]
    pub(super) fn read(octets: &[u8]) -> Result<Self, Missing> {
        let &[dif, second, ..] = octets else {
            return Err(if octets.first().is_some_and(|dif| dif & 0x80 != 0) {
                Missing::Dife
            } else {
                Missing::Vif
            });
        };
        let mut head = Self {
            dif,
            storage: u64::from((dif >> 6) & 1),
            tariff: 0,
            subunit: 0,
            is_register: false,
            dife_count: 0,
            vif_at: 1,
            vib_end: 2,
            text: (0, 0),
            len: 2,
        };
        let mut vif = second;
        if dif & 0x80 != 0 {
            head.extend(octets)?;
            vif = *octets.get(head.vif_at).ok_or(Missing::Vif)?;
            head.vib_end = head.vif_at.saturating_add(1);
        }
        head.len = head.vib_end;
        if vif & 0x80 != 0 || vif == 0x7C {
            head.read_vife(octets, vif)?;
        }
        Ok(head)
    }

    fn extend(&mut self, octets: &[u8]) -> Result<(), Missing> {
        let mut at = 1_usize;
        loop {
            let dife = *octets.get(at).ok_or(Missing::Dife)?;
            // The eleventh and later carry nothing: they are one too many already.
            if self.dife_count < EXTENSIONS_MAX {
                let place = u32::try_from(self.dife_count).unwrap_or_default();
                let four = place.wrapping_mul(4).wrapping_add(1);
                self.storage |= u64::from(dife & 0x0F).wrapping_shl(four);
                self.tariff |= u32::from((dife >> 4) & 3).wrapping_shl(place.wrapping_mul(2));
                self.subunit |= u16::from((dife >> 6) & 1).wrapping_shl(place);
            }
            self.dife_count = self.dife_count.saturating_add(1);
            at = at.saturating_add(1);
            if dife & 0x80 == 0 {
                self.is_register = dife == 0;
                self.vif_at = at;
                return Ok(());
            }
        }
    }

    #[inline]
    fn read_vife(&mut self, octets: &[u8], vif: u8) -> Result<(), Missing> {
        if vif & 0x7F != 0x7C {
            self.vib_end = chain_end(octets, self.vib_end).ok_or(Missing::Vife)?;
            self.len = self.vib_end;
            return Ok(());
        }
        self.read_text(octets, vif & 0x80 != 0)
    }

    /// A unit in plain text stands behind the whole VIB; before the standard said so, makers put it
    /// right behind the VIF and the VIFE behind it. The one of both is taken whose text can be one.
    // clause: EN 13757-3, Annex C.2
    #[cold]
    fn read_text(&mut self, octets: &[u8], has_vife: bool) -> Result<(), Missing> {
        let vif_end = self.vib_end;
        let behind = if has_vife {
            chain_end(octets, vif_end)
        } else {
            Some(vif_end)
        };
        let standard = behind.and_then(|end| Some((end, text_at(octets, end)?)));
        let readable = |text: (usize, usize)| {
            octets
                .get(text.0..text.1)
                .is_some_and(|text| text.iter().all(is_shown))
        };
        if let Some((end, text)) = standard
            && (!has_vife || readable(text))
        {
            self.vib_end = end;
            self.text = text;
            self.len = text.1;
            return Ok(());
        }
        let old = text_at(octets, vif_end).filter(|text| has_vife && readable(*text));
        let old = old.and_then(|text| Some((text, chain_end(octets, text.1)?)));
        if let Some((text, end)) = old {
            self.text = text;
            self.vib_end = end;
            self.len = end;
            return Ok(());
        }
        let (end, text) = standard.ok_or(Missing::Text)?;
        self.vib_end = end;
        self.text = text;
        self.len = text.1;
        Ok(())
    }

    /// The VIF and its VIFE, one behind the other. Where the text stands between them, they are
    /// two pieces.
    pub(super) fn vib<'a>(&self, octets: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let vif_end = self.vif_at.saturating_add(1);
        if self.text.1 != 0 && self.text.1 < self.vib_end {
            let vif = octets.get(self.vif_at..vif_end).unwrap_or_default();
            return (
                vif,
                octets.get(self.text.1..self.vib_end).unwrap_or_default(),
            );
        }
        let vib = octets.get(self.vif_at..self.vib_end).unwrap_or_default();
        vib.split_at_checked(1).unwrap_or_default()
    }

    /// How many VIFE there are.
    pub(super) fn vife_count(&self) -> usize {
        let vif_end = self.vif_at.saturating_add(1);
        let is_between = self.text.1 != 0 && self.text.1 < self.vib_end;
        let begin = if is_between { self.text.1 } else { vif_end };
        self.vib_end.saturating_sub(begin)
    }
}

/// Where a chain of extensions ends that begins at `at`.
#[inline]
fn chain_end(octets: &[u8], at: usize) -> Option<usize> {
    let chain = octets.get(at..)?;
    let last = chain.iter().position(|octet| octet & 0x80 == 0)?;
    at.checked_add(last)?.checked_add(1)
}

/// The text behind its length octet at `at`.
fn text_at(octets: &[u8], at: usize) -> Option<(usize, usize)> {
    let len = usize::from(*octets.get(at)?);
    let start = at.checked_add(1)?;
    let end = start.checked_add(len)?;
    (end <= octets.len()).then_some((start, end))
}

/// Whether an octet is a character that people read.
pub(super) fn is_shown(octet: &u8) -> bool {
    matches!(octet, 0x20..=0x7E | 0xA0..=0xFF)
}
