//! Whom the intake of telegrams asks: whoever opens them, and whoever knows gateways and formats.

use crate::keyring::UtilityId;
use crate::model::telegram::LinkForm;
use crate::net::mbus::contract::{Gateway, Proof};
use crate::session::mbus::{Opened, Refusal, Security};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::link::Format;

/// A telegram that may be read, with octets of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedOpened {
    /// See [`Opened::meter`].
    pub meter: Option<Address>,
    /// See [`Opened::sender`].
    pub sender: Option<Address>,
    /// See [`Opened::security`].
    pub security: Security,
    /// See [`Opened::access_number`].
    pub access_number: Option<u8>,
    /// See [`Opened::status`].
    pub status: Option<u8>,
    /// See [`Opened::ci`].
    pub ci: u8,
    /// See [`Opened::is_wired`].
    pub is_wired: bool,
    /// In which form its link layer came.
    pub link: LinkForm,
    /// What stands before the application layer, as far as it came in clear.
    pub header: Vec<u8>,
    /// See [`Opened::payload`].
    pub payload: Vec<u8>,
}

impl OwnedOpened {
    /// A copy of what was opened.
    #[must_use]
    pub fn of(opened: &Opened<'_>) -> Self {
        Self {
            meter: opened.meter,
            sender: opened.sender.filter(|sender| opened.meter != Some(*sender)),
            security: opened.security,
            access_number: opened.access_number,
            status: opened.status,
            ci: opened.ci,
            is_wired: opened.is_wired,
            link: form_of(opened.format),
            header: opened.head.to_vec(),
            payload: opened.payload.to_vec(),
        }
    }
}

const fn form_of(format: Format) -> LinkForm {
    match format {
        Format::WiredAck | Format::WiredShort | Format::WiredLong => LinkForm::Wired,
        Format::WirelessA => LinkForm::WirelessA,
        Format::WirelessB => LinkForm::WirelessB,
        Format::WirelessPlain | Format::WirelessNoLength => LinkForm::WirelessUnchecked,
        Format::TransportFirst => LinkForm::CiFirst,
    }
}

/// What opening gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opening {
    /// A whole message.
    Whole(Box<OwnedOpened>),
    /// A fragment of one; the others are waited for.
    Part,
    /// Nothing that gives a record, by the name and the text of why.
    Nothing(&'static str, &'static str),
}

/// Whoever verifies and decrypts telegrams.
pub trait TelegramOpener: Send + Sync {
    /// Opens a telegram with the keys of one utility's meters.
    ///
    /// # Errors
    ///
    /// [`RefusedTelegram`].
    fn open(
        &self,
        utility: UtilityId,
        telegram: &[u8],
        now_ms: u64,
    ) -> Result<Opening, RefusedTelegram>;
}

/// A telegram that was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefusedTelegram {
    /// Why.
    pub why: Refusal,
    /// The meter that it names, or else who sent it: nothing vouches for that.
    pub meter: Option<Address>,
}

impl RefusedTelegram {
    /// That of a telegram of a meter.
    #[must_use]
    pub const fn of(meter: Address, why: Refusal) -> Self {
        Self {
            why,
            meter: Some(meter),
        }
    }
}

/// Whoever knows which gateways there are.
pub trait GatewayLookup: Send + Sync {
    /// The gateway that shows this. What is secret is compared in constant time.
    fn find(&self, proof: Proof<'_>) -> Option<Gateway>;

    /// Whether it is still registered as it was when it was found.
    fn is_current(&self, gateway: &Gateway) -> bool;
}

/// Whoever keeps the formats of compact frames.
pub trait Formats: Send + Sync {
    /// The records that a compact frame of a utility's meter stands for; none if its format is not
    /// known, or the frame is no compact one. Such a frame is kept as it is.
    fn expand(&self, meter: (UtilityId, Address), ci: u8, payload: &[u8]) -> Option<Vec<u8>>;
}

/// Knows no formats.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFormats;

impl Formats for NoFormats {
    fn expand(&self, _: (UtilityId, Address), _: u8, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
