//! How operators write the identity of a terminal.

use crate::keyring::mbus::meter::parse_meter;
use crate::model::TerminalId;
use crate::wire::mbus::address::Address;
use crate::wire::otl::ident::Identity;

/// A text that names no terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoTerminal {
    /// It names nothing.
    #[error(
        "a terminal is 16 hexadecimal digits, as in 00070000499602d2, or its maker and serial in \
         decimal, as in 7:1234567890"
    )]
    Unread,
    /// It names an M-Bus meter.
    #[error(
        "that is an M-Bus meter, which is not registered and has telegrams alone: `kenshin \
         terminal readings` shows them"
    )]
    Meter,
}

/// Reads 16 hexadecimal digits, or maker and serial in decimal with a colon between them.
///
/// # Errors
///
/// [`NoTerminal`]; also for the identity of zeros, which the log takes for none.
// spec: ID-1
pub fn parse_terminal(text: &str) -> Result<TerminalId, NoTerminal> {
    let unread = || match parse_meter(text) {
        Ok(_) => NoTerminal::Meter,
        Err(_) => NoTerminal::Unread,
    };
    let id = match text.split_once(':') {
        None => text.parse().map_err(|_| unread())?,
        Some((maker, serial)) => {
            let is_plain = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
            if !is_plain(maker) || !is_plain(serial) {
                return Err(NoTerminal::Unread);
            }
            let maker = maker.parse().map_err(|_| NoTerminal::Unread)?;
            let serial = serial.parse().map_err(|_| NoTerminal::Unread)?;
            let identity = Identity::from_parts(maker, serial).ok_or(NoTerminal::Unread)?;
            TerminalId::new(identity.octets())
        }
    };
    if id == TerminalId::default() {
        Err(NoTerminal::Unread)
    } else {
        Ok(id)
    }
}

/// A text that names neither a terminal nor a meter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{}. An M-Bus meter is named as in ELS-12345678-33-03, or by its address in the order of the \
     link, 16 hexadecimal digits",
    NoTerminal::Unread
)]
pub struct NoTerminalOrMeter;

/// A terminal or a meter, by how it was named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    /// As a terminal is. 16 digits may be the address of a meter, too.
    Terminal(TerminalId),
    /// As only an M-Bus meter is.
    Meter(Address),
}

impl Named {
    /// What its records are found by.
    #[must_use]
    pub const fn id(self) -> TerminalId {
        match self {
            Self::Terminal(id) => id,
            Self::Meter(meter) => TerminalId::new(meter.link_order()),
        }
    }
}

/// Reads what [`parse_terminal`] reads, or the name of an M-Bus meter: maker, identification,
/// version and device type.
///
/// # Errors
///
/// [`NoTerminalOrMeter`].
pub fn parse_terminal_or_meter(text: &str) -> Result<Named, NoTerminalOrMeter> {
    if text.contains('-') {
        let meter = parse_meter(text).map_err(|_| NoTerminalOrMeter)?;
        return Ok(Named::Meter(meter));
    }
    let terminal = parse_terminal(text).map_err(|_| NoTerminalOrMeter)?;
    Ok(Named::Terminal(terminal))
}

/// A terminal's maker and serial.
// spec: ID-1
#[must_use]
pub const fn maker_and_serial(id: TerminalId) -> (u16, u64) {
    let identity = Identity::new(id.octets());
    (identity.maker(), identity.serial())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_terminal_and_nothing_else_is_read() {
        let id = parse_terminal("00070000499602D2").unwrap();
        assert_eq!(parse_terminal("7:1234567890"), Ok(id));
        assert_eq!(maker_and_serial(id), (7, 1_234_567_890));
        let too_long = format!("7:{}", 1_u64 << 48);
        let wrong = [
            "",
            ":",
            "7:",
            ":7",
            "7:+1",
            "65536:1",
            "7:1:2",
            "0007",
            "0:0",
            "0000000000000000",
            &too_long,
        ];
        for wrong in wrong {
            assert_eq!(parse_terminal(wrong), Err(NoTerminal::Unread), "{wrong}");
            let read = parse_terminal_or_meter(wrong);
            assert_eq!(read, Err(NoTerminalOrMeter), "{wrong}");
        }
    }

    #[test]
    fn a_meter_is_the_same_by_its_name_and_by_its_address() {
        let meter = parse_terminal_or_meter("ELS-12345678-33-03").unwrap();
        assert!(matches!(meter, Named::Meter(_)));
        assert_eq!(parse_terminal("ELS-12345678-33-03"), Err(NoTerminal::Meter));
        let address = parse_terminal_or_meter("9315785634123303").unwrap();
        assert_eq!(address.id(), meter.id());
        let terminal = Named::Terminal(parse_terminal("7:1234567890").unwrap());
        assert_eq!(parse_terminal_or_meter("7:1234567890"), Ok(terminal));
        assert_eq!(
            parse_terminal_or_meter("ELS-12345678-33"),
            Err(NoTerminalOrMeter)
        );
    }
}
