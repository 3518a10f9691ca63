//! A telegram of an M-Bus meter as the log keeps it: what one verified telegram made durable.
//!
//! What was opened is kept whole, as its clear header and its application layer in clear, so that
//! history can be decoded again after a fix, and after its key was replaced. How it came and what
//! was proven about it is kept beside it: folding and delivering it need no key and no clock. No
//! key and no ciphertext is in it.
//!
//! # Octets (version 1, big-endian)
//!
//! ```text
//! u8   version, 1                    [8]  meter, in the order of the link
//! u8   carriage: 1 TCP, 2 UDP        [8]  sender, in the order of the link, if told
//! u16  flags                         u8   access number, if told
//! u16  decoder version               u8   status, if told
//! [8]  utility                       u8   CI field of the application layer
//! u64  received, UTC milliseconds    u8   octets of the gateway's name, and the name
//! u64  heard by the gateway,         u8   octets of the clear header, and the header
//!      UTC milliseconds, if told     u16  octets of the records that a compact frame stands
//! i16  signal, dBm, if told               for, and they, if the format was known
//! u8   verified: 0 nothing,          u64  digest
//!      1 check octets, 2 MAC              the application layer to the end
//! u8   security mode
//! u8   key number, if there is a key
//! u8   key version, if there is a key
//! u32  counter, if there is one
//! u16  octets of a clear tail, if any
//! u16  octets of a withheld tail, if any
//!
//! flags  0 wired     1 link encrypted  2 heard by the gateway  3 signal   4 key
//!        5 counter   6 sender          7 access number         8 status   9 expanded
//!        10 to 13 the form of the link, see LinkForm       14 clear tail
//!        15 withheld tail
//! ```
//!
//! What is not told has no octets.

use nom::Parser as _;
use nom::bytes::complete::take;
use nom::combinator::{all_consuming, cond, map_opt, rest, verify};
use nom::multi::length_data;
use nom::number::complete::{be_i16, be_u8, be_u16, be_u32, be_u64};

use super::ids::{Lane, TerminalId};
use crate::crypto::digest::sha256;
use crate::keyring::UtilityId;
use crate::session::mbus::{KeyId, KeyName, KeyVersion, Security, Verified};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::ci::{Announced, announced};
use crate::wire::mbus::ell::ExtendedLink;

/// The version of the octets that this server writes.
const TELEGRAM_VERSION: u8 = 1;
/// Octets without what may be left out.
const FIXED_LEN: usize = 48;

/// What decodes application layers of M-Bus today. It grows with each change that lets the same
/// octets mean something else, or lets more of them be understood.
pub const TELEGRAM_DECODER_VERSION: u16 = 2;

/// How a telegram came from its gateway.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Carriage {
    /// Over a connection: the gateway was told that it is durable.
    Tcp,
    /// In a datagram: nobody was told anything.
    Udp,
}

impl Carriage {
    /// The word of metrics and outward forms.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// What custody it gives: `acknowledged` or `received`.
    #[must_use]
    pub const fn custody(self) -> &'static str {
        match self {
            Self::Tcp => "acknowledged",
            Self::Udp => "received",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 1,
            Self::Udp => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Tcp),
            2 => Some(Self::Udp),
            _ => None,
        }
    }
}

/// In which form the link layer came.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LinkForm {
    /// Not told.
    #[default]
    Unknown,
    /// Wireless, format A.
    WirelessA,
    /// Wireless, format B.
    WirelessB,
    /// Wireless, without its checks: whoever took them off has looked at them, or nobody has.
    WirelessUnchecked,
    /// A wired long frame.
    Wired,
    /// Without a link layer: it begins with its CI field.
    CiFirst,
}

impl LinkForm {
    const ALL: [Self; 6] = [
        Self::Unknown,
        Self::WirelessA,
        Self::WirelessB,
        Self::WirelessUnchecked,
        Self::Wired,
        Self::CiFirst,
    ];

    /// The word of outward forms; none for what is not told.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::WirelessA => Some("wireless_a"),
            Self::WirelessB => Some("wireless_b"),
            Self::WirelessUnchecked => Some("wireless_unchecked"),
            Self::Wired => Some("wired"),
            Self::CiFirst => Some("ci_first"),
        }
    }

    fn number(self) -> u16 {
        let place = Self::ALL.iter().position(|one| *one == self);
        place
            .and_then(|place| u16::try_from(place).ok())
            .unwrap_or(0)
    }

    fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A telegram of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Telegram<'a> {
    /// The version of what decoded it when it came.
    pub decoder: u16,
    /// How it came.
    pub carriage: Carriage,
    /// In which form its link layer came.
    pub link: LinkForm,
    /// The utility of the gateway when it came.
    pub utility: UtilityId,
    /// The gateway's name, 1 to 255 octets.
    pub gateway: &'a str,
    /// When it was received, UTC milliseconds.
    pub received_utc_ms: u64,
    /// When the gateway says that it heard it, UTC milliseconds.
    pub heard_utc_ms: Option<u64>,
    /// The signal at the gateway, dBm.
    pub rssi_dbm: Option<i16>,
    /// What is proven about it.
    pub security: Security,
    /// The meter.
    pub meter: Address,
    /// Who sent it over the air, if that is told and is another one.
    pub sender: Option<Address>,
    /// The access number of the transport header.
    pub access_number: Option<u8>,
    /// The status octet of the transport header.
    pub status: Option<u8>,
    /// The CI field that the application layer belongs to.
    pub ci: u8,
    /// Whether the link was a wired one.
    pub is_wired: bool,
    /// What stood before the application layer, link to transport, as far as it was kept; at most
    /// 255 octets.
    pub header: &'a [u8],
    /// The records that a compact frame stands for, where its format was known; at most 65,535
    /// octets.
    pub expanded: Option<&'a [u8]>,
    /// The digest by which copies of it are known: see [`Self::digest_of_content`].
    pub digest: u64,
    /// The application layer in clear.
    pub payload: &'a [u8],
}

/// A telegram that has no form in the log: a name or a header above 255 octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the telegram does not fit a frame of the log")]
pub struct TelegramTooLong;

/// A payload that is no telegram of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TelegramError {
    /// A later server wrote it.
    #[error("a telegram has version {0}, and this server reads version {TELEGRAM_VERSION}")]
    Version(u8),
    /// The octets are not those of one.
    #[error("the octets are no telegram of the log")]
    Malformed,
}

/// Octets of C field and address, which stand before the layers of a header.
const LINK_LEN: usize = 9;

/// Bits of the flags.
mod bit {
    pub(super) const WIRED: u16 = 1;
    pub(super) const LINK_ENCRYPTED: u16 = 1 << 1;
    pub(super) const HEARD: u16 = 1 << 2;
    pub(super) const RSSI: u16 = 1 << 3;
    pub(super) const KEY: u16 = 1 << 4;
    pub(super) const COUNTER: u16 = 1 << 5;
    pub(super) const SENDER: u16 = 1 << 6;
    pub(super) const ACCESS_NUMBER: u16 = 1 << 7;
    pub(super) const STATUS: u16 = 1 << 8;
    pub(super) const EXPANDED: u16 = 1 << 9;
    pub(super) const LINK_SHIFT: u32 = 10;
    pub(super) const LINK_MASK: u16 = 0x0F << LINK_SHIFT;
    pub(super) const CLEAR_TAIL: u16 = 1 << 14;
    pub(super) const WITHHELD: u16 = 1 << 15;
}

impl<'a> Telegram<'a> {
    /// Whom the log's frame of it is about: the meter's eight octets in the order of the link.
    #[must_use]
    pub const fn terminal(&self) -> TerminalId {
        TerminalId::new(self.meter.link_order())
    }

    /// When it was heard: as its gateway says, or else when it was received, UTC milliseconds.
    #[must_use]
    pub fn at_utc_ms(&self) -> u64 {
        self.heard_utc_ms.unwrap_or(self.received_utc_ms)
    }

    /// The lane that it travels in: that of alarms for what a meter sends unasked because something
    /// happened.
    // clause: EN 13757-7, 7.3 (CI 71h, 74h, 75h) and 7.5.6 (status)
    #[must_use]
    pub fn lane(&self) -> Lane {
        lane_of(self.ci, self.status)
    }

    /// The digest by which copies of a telegram are known, however they came: the first octets of
    /// SHA-256 of meter, utility, security, access number, status, CI field and application layer.
    /// What differs between gateways is not in it, and neither is a tail that was withheld: anybody
    /// can put another one behind a telegram.
    #[must_use]
    pub fn digest_of_content(&self) -> u64 {
        let mut octets = Vec::with_capacity(self.payload.len().saturating_add(36));
        octets.extend_from_slice(&self.utility.octets());
        octets.extend_from_slice(&self.meter.link_order());
        let link_encrypted = u8::from(self.security.link_encrypted);
        octets.extend_from_slice(&[self.ci, u8::from(self.is_wired), link_encrypted]);
        put_security(&mut octets, &self.security);
        self.put_extended_link(&mut octets);
        for told in [self.access_number, self.status] {
            octets.extend_from_slice(&[u8::from(told.is_some()), told.unwrap_or(0)]);
        }
        octets.extend_from_slice(self.payload);
        let digest = sha256(&octets);
        digest
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// What tells telegrams of an extended link layer apart: its access number and its session. Its
    /// control field is not in it, since a repeater changes that.
    fn put_extended_link(&self, out: &mut Vec<u8>) {
        let Some((ci, _)) = self.header.get(LINK_LEN..).and_then(<[u8]>::split_first) else {
            return;
        };
        let Some(Announced::ExtendedLink {
            has_address,
            has_session,
        }) = announced(*ci, self.is_wired, false)
        else {
            return;
        };
        let layers = self.header.get(LINK_LEN..).unwrap_or_default();
        if let Ok(layer) = ExtendedLink::read(layers, LINK_LEN, has_address, has_session) {
            out.push(layer.access_number);
            out.extend(layer.session.iter().flat_map(|session| session.number));
        }
    }

    fn flags(&self) -> u16 {
        let set = [
            (bit::WIRED, self.is_wired),
            (bit::LINK_ENCRYPTED, self.security.link_encrypted),
            (bit::HEARD, self.heard_utc_ms.is_some()),
            (bit::RSSI, self.rssi_dbm.is_some()),
            (bit::KEY, self.security.key.is_some()),
            (bit::COUNTER, self.security.counter.is_some()),
            (bit::SENDER, self.sender.is_some()),
            (bit::ACCESS_NUMBER, self.access_number.is_some()),
            (bit::STATUS, self.status.is_some()),
            (bit::EXPANDED, self.expanded.is_some()),
            (bit::CLEAR_TAIL, self.security.clear_tail_octets > 0),
            (bit::WITHHELD, self.security.withheld_octets > 0),
        ];
        let set = set.into_iter().filter(|(_, is_set)| *is_set);
        let flags = set.fold(0, |flags, (bit, _)| flags | bit);
        flags | self.link.number() << bit::LINK_SHIFT
    }

    /// The octets of the log.
    ///
    /// # Errors
    ///
    /// [`TelegramTooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, TelegramTooLong> {
        let short = |octets: &[u8]| u8::try_from(octets.len()).map_err(|_| TelegramTooLong);
        let gateway = self.gateway.as_bytes();
        let (gateway_len, header_len) = (short(gateway)?, short(self.header)?);
        let expanded = self.expanded.unwrap_or_default();
        let expanded_len = u16::try_from(expanded.len()).map_err(|_| TelegramTooLong)?;
        let variable = [gateway, self.header, expanded, self.payload];
        let variable = variable.iter().map(|part| part.len()).sum::<usize>();
        let mut out = Vec::with_capacity(variable.saturating_add(FIXED_LEN + 28));
        out.extend_from_slice(&[TELEGRAM_VERSION, self.carriage.number()]);
        out.extend_from_slice(&self.flags().to_be_bytes());
        out.extend_from_slice(&self.decoder.to_be_bytes());
        out.extend_from_slice(&self.utility.octets());
        out.extend_from_slice(&self.received_utc_ms.to_be_bytes());
        if let Some(heard) = self.heard_utc_ms {
            out.extend_from_slice(&heard.to_be_bytes());
        }
        if let Some(rssi) = self.rssi_dbm {
            out.extend_from_slice(&rssi.to_be_bytes());
        }
        put_security(&mut out, &self.security);
        if self.security.withheld_octets > 0 {
            put_octet_count(&mut out, self.security.withheld_octets);
        }
        out.extend_from_slice(&self.meter.link_order());
        if let Some(sender) = self.sender {
            out.extend_from_slice(&sender.link_order());
        }
        out.extend(self.access_number);
        out.extend(self.status);
        out.extend_from_slice(&[self.ci, gateway_len]);
        out.extend_from_slice(gateway);
        out.push(header_len);
        out.extend_from_slice(self.header);
        if self.expanded.is_some() {
            out.extend_from_slice(&expanded_len.to_be_bytes());
            out.extend_from_slice(expanded);
        }
        out.extend_from_slice(&self.digest.to_be_bytes());
        out.extend_from_slice(self.payload);
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`TelegramError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, TelegramError> {
        match octets.first() {
            Some(&TELEGRAM_VERSION) => {}
            Some(&version) if version > TELEGRAM_VERSION => {
                return Err(TelegramError::Version(version));
            }
            _ => return Err(TelegramError::Malformed),
        }
        let body = octets.get(1..).unwrap_or_default();
        let read = all_consuming(telegram).parse(body);
        read.map(|(_, telegram)| telegram)
            .map_err(|_: nom::Err<nom::error::Error<_>>| TelegramError::Malformed)
    }
}

/// The lane of a telegram with this CI field and status. The status of what has no records (an
/// application error, a header alone) is taken in clear of every meter, so that it raises nothing.
#[must_use]
pub fn lane_of(ci: u8, status: Option<u8>) -> Lane {
    let is_alarm = matches!(ci, 0x71 | 0x74 | 0x75);
    let has_records = !matches!(ci, 0x6E..=0x70 | 0x8A | 0x8B);
    if is_alarm || (has_records && status.is_some_and(|status| status & 3 == 3)) {
        Lane::Alarm
    } else {
        Lane::Bulk
    }
}

fn put_security(out: &mut Vec<u8>, security: &Security) {
    let verified = match security.verified {
        Verified::None => 0,
        Verified::CheckBytes => 1,
        Verified::Mac => 2,
    };
    out.extend_from_slice(&[verified, security.mode]);
    if let Some(key) = security.key {
        out.extend_from_slice(&[key.id.0, key.version.0]);
    }
    if let Some(counter) = security.counter {
        out.extend_from_slice(&counter.to_be_bytes());
    }
    if security.clear_tail_octets > 0 {
        put_octet_count(out, security.clear_tail_octets);
    }
}

fn put_octet_count(out: &mut Vec<u8>, octets: usize) {
    let octets = u16::try_from(octets).unwrap_or(u16::MAX);
    out.extend_from_slice(&octets.to_be_bytes());
}

type Read<'a, T> = nom::IResult<&'a [u8], T>;

fn telegram(input: &[u8]) -> Read<'_, Telegram<'_>> {
    let (input, carriage) = map_opt(be_u8, Carriage::from_number).parse(input)?;
    let known = |flags: u16| {
        let link = LinkForm::from_number((flags & bit::LINK_MASK) >> bit::LINK_SHIFT)?;
        Some((flags, link))
    };
    let (input, (flags, link)) = map_opt(be_u16, known).parse(input)?;
    let has = |bit| flags & bit != 0;
    let (input, (decoder, utility)) = (be_u16, octets_8).parse(input)?;
    let (input, received_utc_ms) = be_u64(input)?;
    let (input, heard_utc_ms) = cond(has(bit::HEARD), be_u64).parse(input)?;
    let (input, rssi_dbm) = cond(has(bit::RSSI), be_i16).parse(input)?;
    let (input, security) = security(flags, input)?;
    let (input, meter) = octets_8(input)?;
    let (input, sender) = cond(has(bit::SENDER), octets_8).parse(input)?;
    let (input, access_number) = cond(has(bit::ACCESS_NUMBER), be_u8).parse(input)?;
    let (input, status) = cond(has(bit::STATUS), be_u8).parse(input)?;
    let (input, ci) = be_u8(input)?;
    let name = |octets| core::str::from_utf8(octets).ok();
    let (input, gateway) = map_opt(length_data(be_u8), name).parse(input)?;
    let (input, header) = length_data(be_u8).parse(input)?;
    let (input, expanded) = cond(has(bit::EXPANDED), length_data(be_u16)).parse(input)?;
    let (input, (digest, payload)) = (be_u64, rest).parse(input)?;
    let telegram = Telegram {
        decoder,
        carriage,
        link,
        utility: UtilityId::new(utility),
        gateway,
        received_utc_ms,
        heard_utc_ms,
        rssi_dbm,
        security,
        meter: Address::from_link_order(meter),
        sender: sender.map(Address::from_link_order),
        access_number,
        status,
        ci,
        is_wired: has(bit::WIRED),
        header,
        expanded,
        digest,
        payload,
    };
    Ok((input, telegram))
}

fn security(flags: u16, input: &[u8]) -> Read<'_, Security> {
    let verified = |number| match number {
        0 => Some(Verified::None),
        1 => Some(Verified::CheckBytes),
        2 => Some(Verified::Mac),
        _ => None,
    };
    let (input, (verified, mode)) = (map_opt(be_u8, verified), be_u8).parse(input)?;
    let (input, key) = cond(flags & bit::KEY != 0, (be_u8, be_u8)).parse(input)?;
    let (input, counter) = cond(flags & bit::COUNTER != 0, be_u32).parse(input)?;
    let some = || verify(be_u16, |octets: &u16| *octets > 0);
    let (input, tail) = cond(flags & bit::CLEAR_TAIL != 0, some()).parse(input)?;
    let (input, withheld) = cond(flags & bit::WITHHELD != 0, some()).parse(input)?;
    let security = Security {
        clear_tail_octets: tail.map_or(0, usize::from),
        withheld_octets: withheld.map_or(0, usize::from),
        cut_octets: 0,
        mode,
        link_encrypted: flags & bit::LINK_ENCRYPTED != 0,
        verified,
        key: key.map(|(id, version)| KeyName {
            id: KeyId(id),
            version: KeyVersion(version),
        }),
        counter,
    };
    Ok((input, security))
}

fn octets_8(input: &[u8]) -> Read<'_, [u8; 8]> {
    let (input, found) = take(8_usize)(input)?;
    Ok((input, found.first_chunk().copied().unwrap_or_default()))
}

#[cfg(test)]
#[path = "telegram_tests.rs"]
pub(in crate::model) mod tests;
