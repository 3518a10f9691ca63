//! The walk over the records of an application layer, without a copy and without an allocation.

use super::head::{EXTENSIONS_MAX, Head, Missing};
use super::named::named;

/// Who speaks, which gives the lowest VIFE their meaning.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Direction {
    /// The meter.
    #[default]
    Uplink,
    /// The head-end, or a gateway for it.
    Downlink,
}

named! {
    /// What kind of value a record holds.
    // clause: EN 13757-3, 6.3.2, function field
    Function {
        Instantaneous = "instantaneous",
        Maximum = "maximum",
        Minimum = "minimum",
        Error = "error",
    }
}

named! {
    /// Why a record cannot be understood.
    FaultReason {
        TooManyDife = "too_many_dife",
        TooManyVife = "too_many_vife",
        TruncatedDif = "truncated_dif",
        TruncatedVif = "truncated_vif",
        TruncatedText = "truncated_plain_text_vif",
        TruncatedData = "truncated_data",
        ReservedDif = "reserved_dif",
        ReservedLength = "reserved_variable_length",
    }
}

/// A record that is none. Others before it hold, and those behind it unless it ends the walk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordFault {
    /// Where the record begins, counted from the first octet behind the transport header.
    pub offset: usize,
    /// The first octet that is wrong or missing, counted alike.
    pub at: usize,
    /// How many octets are lost with it.
    pub len: usize,
    /// What is wrong.
    pub reason: FaultReason,
    /// Whether its length cannot be known, so that nothing behind it can be found.
    pub ends_walk: bool,
}

/// How the data of a record is coded: the low four bits of its DIF.
// clause: EN 13757-3, 6.3.3, Table 4
pub(super) const DATA_LENS: [u8; 16] = [0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6, 0];
/// The data field of variable length.
pub(super) const LVAR: u8 = 0x0D;

/// The length of variable data by its first octet; none for what is reserved.
// clause: EN 13757-3, 6.3.3, Table 5
pub(super) fn variable_len(lvar: u8) -> Option<usize> {
    Some(usize::from(match lvar {
        0x00..=0xBF => lvar,
        0xC0..=0xC9 | 0xD0..=0xD9 | 0xE0..=0xEF => lvar & 0x0F,
        0xF0..=0xF4 => lvar.wrapping_sub(0xEC).wrapping_mul(4),
        0xF5 => 48,
        0xF6 => 64,
        _ => return None,
    }))
}

/// One record with data, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it begins, counted from the first octet behind the transport header.
    pub offset: usize,
    /// All its octets.
    pub octets: &'a [u8],
    /// The first octet.
    pub dif: u8,
    /// The storage number: 0 the present, others values kept from before.
    pub storage: u64,
    /// The tariff, 0 for the total.
    pub tariff: u32,
    /// The subunit of the device.
    pub subunit: u16,
    /// Whether a DIFE 00h at the end marks a register number (OMS).
    pub is_register: bool,
    /// The VIF.
    pub vif: u8,
    /// Its extensions, in the order of the wire.
    pub vifes: &'a [u8],
    /// The unit in plain text as on the wire, the last character first; empty without VIF 7Ch.
    pub unit_text: &'a [u8],
    /// The first octet of variable data; none if the size is fixed.
    pub lvar: Option<u8>,
    /// The data, without the length octet of variable data.
    pub data: &'a [u8],
    /// Who spoke.
    pub direction: Direction,
    /// Whether numbers come with the highest octet first (mode 2 of old wired meters).
    pub high_octet_first: bool,
}

impl Record<'_> {
    /// What kind of value it is.
    #[must_use]
    pub const fn function(&self) -> Function {
        match (self.dif >> 4) & 3 {
            0 => Function::Instantaneous,
            1 => Function::Maximum,
            2 => Function::Minimum,
            _ => Function::Error,
        }
    }

    /// The low four bits of the DIF.
    #[must_use]
    pub const fn data_field(&self) -> u8 {
        self.dif & 0x0F
    }
}

/// What the walk comes by.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// Data of the manufacturer, to the end.
    Manufacturer {
        /// Where its DIF (0Fh or 1Fh) stands.
        offset: usize,
        /// What follows the DIF.
        octets: &'a [u8],
        /// Whether the meter has more records for another telegram (1Fh).
        more_follows: bool,
    },
    /// The demand for all records (7Fh).
    GlobalReadout {
        /// Where it stands.
        offset: usize,
    },
}

/// Walks records lazily; each step is one record, one fault, or what special DIF announce. Fillers
/// (2Fh) are passed over. Each step consumes at least one octet.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    octets: &'a [u8],
    at: usize,
    direction: Direction,
    high_octet_first: bool,
}

impl<'a> Records<'a> {
    /// A walk over `octets`, which begin with a DIF.
    #[must_use]
    pub const fn new(octets: &'a [u8], direction: Direction) -> Self {
        Self {
            octets,
            at: 0,
            direction,
            high_octet_first: false,
        }
    }

    /// The same walk with numbers whose highest octet comes first.
    #[must_use]
    pub const fn high_octet_first(self) -> Self {
        Self {
            high_octet_first: true,
            ..self
        }
    }

    /// All octets that the walk began with.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The walk from the beginning.
    #[must_use]
    pub const fn restart(self) -> Self {
        Self { at: 0, ..self }
    }

    #[inline]
    fn record(&mut self, rest: &'a [u8]) -> Result<Item<'a>, RecordFault> {
        let head = match Head::read(rest) {
            Ok(head) => head,
            Err(missing) => return Err(self.cut(rest, missing)),
        };
        let mut data_at = head.len;
        let mut lvar = None;
        let data_len = if head.dif & 0x0F == LVAR {
            let Some(&first) = rest.get(data_at) else {
                return Err(self.end(rest, rest.len(), FaultReason::TruncatedData));
            };
            let Some(len) = variable_len(first) else {
                return Err(self.end(rest, data_at, FaultReason::ReservedLength));
            };
            lvar = Some(first);
            data_at = data_at.saturating_add(1);
            len
        } else {
            usize::from(
                DATA_LENS
                    .get(usize::from(head.dif & 0x0F))
                    .copied()
                    .unwrap_or(0),
            )
        };
        let end = data_at.saturating_add(data_len);
        let (Some(octets), Some(data)) = (rest.get(..end), rest.get(data_at..end)) else {
            return Err(self.end(rest, rest.len(), FaultReason::TruncatedData));
        };
        let offset = self.at;
        self.at = offset.saturating_add(end);
        if head.dife_count > EXTENSIONS_MAX || head.vife_count() > EXTENSIONS_MAX {
            return Err(too_many(&head, offset, end));
        }
        let (vif, vifes) = head.vib(octets);
        Ok(Item::Record(Record {
            offset,
            octets,
            dif: head.dif,
            storage: head.storage,
            tariff: head.tariff,
            subunit: head.subunit,
            is_register: head.is_register,
            vif: vif.first().copied().unwrap_or_default(),
            vifes,
            unit_text: octets.get(head.text.0..head.text.1).unwrap_or_default(),
            lvar,
            data,
            direction: self.direction,
            high_octet_first: self.high_octet_first,
        }))
    }

    /// DIF whose data field is "special function".
    // clause: EN 13757-3, 6.3.5, Table 6
    #[cold]
    fn special(&mut self, dif: u8, rest: &'a [u8]) -> Result<Item<'a>, RecordFault> {
        let offset = self.at;
        match dif {
            0x0F | 0x1F => {
                self.at = self.octets.len();
                Ok(Item::Manufacturer {
                    offset,
                    octets: rest.get(1..).unwrap_or_default(),
                    more_follows: dif == 0x1F,
                })
            }
            0x7F => {
                self.at = offset.saturating_add(1);
                Ok(Item::GlobalReadout { offset })
            }
            _ => Err(self.end(rest, 0, FaultReason::ReservedDif)),
        }
    }

    #[cold]
    fn cut(&mut self, rest: &'a [u8], missing: Missing) -> RecordFault {
        let reason = match missing {
            Missing::Dife => FaultReason::TruncatedDif,
            Missing::Vif | Missing::Vife => FaultReason::TruncatedVif,
            Missing::Text => FaultReason::TruncatedText,
        };
        self.end(rest, rest.len(), reason)
    }

    /// A fault behind which nothing can be found.
    #[cold]
    fn end(&mut self, rest: &'a [u8], at: usize, reason: FaultReason) -> RecordFault {
        let offset = self.at;
        self.at = self.octets.len();
        RecordFault {
            offset,
            at: offset.saturating_add(at),
            len: rest.len(),
            reason,
            ends_walk: true,
        }
    }
}

#[cold]
fn too_many(head: &Head, offset: usize, len: usize) -> RecordFault {
    let (before, reason) = if head.dife_count > EXTENSIONS_MAX {
        (1, FaultReason::TooManyDife)
    } else {
        (head.vif_at.saturating_add(1), FaultReason::TooManyVife)
    };
    RecordFault {
        offset,
        at: offset.saturating_add(before).saturating_add(EXTENSIONS_MAX),
        len,
        reason,
        ends_walk: false,
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Item<'a>, RecordFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.octets.get(self.at..)?;
            let &dif = rest.first()?;
            if dif & 0x0F != 0x0F {
                return Some(self.record(rest));
            }
            if dif != 0x2F {
                return Some(self.special(dif, rest));
            }
            self.at = self.at.saturating_add(1);
        }
    }
}
