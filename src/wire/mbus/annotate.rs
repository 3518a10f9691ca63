//! The lossless view of a telegram's layers: what each octet is, as far as it can be read without a
//! key, and the rest as it came.

use super::afl::Afl;
use super::ci::{Announced, announced};
use super::ell::ExtendedLink;
use super::error::MbusError;
use super::link::{self, Carriage, Format, c_field_name};
use super::tpl::Header;
use crate::wire::hex::Hex;
use crate::wire::view::Annotation;

/// The octets of a telegram, named.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The telegram without CRCs, to which offsets refer.
    pub octets: Vec<u8>,
    /// Runs in ascending order, without gap and without overlap.
    pub notes: Vec<Annotation>,
}

impl Layers {
    fn note(&mut self, len: usize, name: &'static str, value: String) {
        let at = self.end();
        let len = len.min(self.octets.len().saturating_sub(at));
        if len > 0 {
            self.notes.push(Annotation {
                offset: at,
                len,
                name,
                value,
            });
        }
    }

    fn end(&self) -> usize {
        self.notes
            .last()
            .map_or(0, |last| last.offset.saturating_add(last.len))
    }

    fn rest(&self) -> &[u8] {
        self.octets.get(self.end()..).unwrap_or_default()
    }

    fn note_rest(&mut self, name: &'static str, value: String) {
        self.note(self.rest().len(), name, value);
    }

    fn undecoded(mut self, error: MbusError) -> Self {
        self.note_rest("undecoded", error.to_string());
        self
    }
}

/// Names the octets of a telegram of any carriage.
#[must_use]
pub fn layers(telegram: &[u8]) -> Layers {
    let mut scratch = Vec::new();
    let mut layers = Layers::default();
    let link = match link::read(telegram, Carriage::Auto, &mut scratch) {
        Ok(link) => link,
        Err(error) => {
            layers.octets = telegram.to_vec();
            return layers.undecoded(error);
        }
    };
    let before = head_octets(telegram, &link);
    layers.octets = [before.as_slice(), link.body].concat();
    let c_field = link
        .c_field
        .and_then(c_field_name)
        .unwrap_or("unknown")
        .to_owned();
    match link.format {
        Format::WiredAck => layers.note(1, "acknowledgement", String::new()),
        Format::WiredShort => {
            layers.note(1, "start", String::new());
            layers.note(1, "C field", c_field);
            layers.note(
                1,
                "A field",
                link.primary_address.unwrap_or_default().to_string(),
            );
        }
        Format::WiredLong => {
            layers.note(4, "start, lengths, start", String::new());
            layers.note(1, "C field", c_field);
            layers.note(
                1,
                "A field",
                link.primary_address.unwrap_or_default().to_string(),
            );
        }
        Format::TransportFirst => {}
        _ => {
            if link.body_offset > 9 {
                layers.note(1, "L field", String::new());
            }
            layers.note(1, "C field", c_field);
            let sender = link
                .sender
                .map_or_else(String::new, |sender| sender.to_string());
            layers.note(8, "sender", sender);
        }
    }
    upper(layers, link.format.is_wired())
}

/// What stands before the body, without CRCs.
fn head_octets(telegram: &[u8], link: &link::Link<'_>) -> Vec<u8> {
    let len = link.body_offset.min(telegram.len());
    telegram.get(..len).unwrap_or_default().to_vec()
}

fn upper(mut layers: Layers, is_wired: bool) -> Layers {
    // An extended link layer, an AFL and the transport header at most.
    for _ in 0..3 {
        let Some(ci) = layers.rest().first().copied() else {
            return layers;
        };
        let is_fixed = layers.rest().len() == 17;
        let at = layers.end();
        let rest = layers.rest().to_vec();
        match announced(ci, is_wired, is_fixed) {
            Some(Announced::ExtendedLink {
                has_address,
                has_session,
            }) => match ExtendedLink::read(&rest, at, has_address, has_session) {
                Ok(layer) => note_extended(&mut layers, &layer),
                Err(error) => return layers.undecoded(error),
            },
            Some(Announced::Authentication) => match Afl::read(&rest, at) {
                Ok(afl) => note_afl(&mut layers, &afl),
                Err(error) => return layers.undecoded(error),
            },
            Some(Announced::Transport(kind)) => {
                let header = Header::read(&rest, at, kind, is_wired && ci == 0x76);
                match header {
                    Ok(header) => note_transport(&mut layers, &header),
                    Err(error) => return layers.undecoded(error),
                }
                layers.note_rest("application data", String::new());
                return layers;
            }
            _ => {
                layers.note_rest("undecoded", String::new());
                return layers;
            }
        }
    }
    layers.note_rest("undecoded", String::new());
    layers
}

fn note_extended(layers: &mut Layers, layer: &ExtendedLink) {
    layers.note(1, "CI field", "extended link layer".to_owned());
    layers.note(1, "communication control", format!("{:08b}", layer.control));
    layers.note(
        1,
        "access number of the link",
        layer.access_number.to_string(),
    );
    if let Some(address) = layer.address {
        layers.note(8, "other address", address.to_string());
    }
    if let Some(session) = layer.session {
        let value = match session.encryption() {
            0 => "in clear".to_owned(),
            1 => "AES-128-CTR".to_owned(),
            other => format!("encryption {other}"),
        };
        layers.note(4, "session number", value);
        layers.note(2, "payload CRC", String::new());
    }
}

fn note_afl(layers: &mut Layers, afl: &Afl<'_>) {
    layers.note(
        1,
        "CI field",
        "authentication and fragmentation layer".to_owned(),
    );
    layers.note(1, "AFLL", String::new());
    layers.note(
        2,
        "fragmentation control",
        match afl.fragment {
            0 => "whole message".to_owned(),
            number => format!("fragment {number}"),
        },
    );
    if let Some(control) = afl.control {
        layers.note(1, "message control", format!("{:08b}", control.octet()));
    }
    if afl.key.is_some() {
        layers.note(2, "key information", String::new());
    }
    if let Some(counter) = afl.counter {
        layers.note(
            4,
            "message counter",
            u32::from_le_bytes(counter).to_string(),
        );
    }
    layers.note(afl.mac.len(), "MAC", Hex(afl.mac).to_string());
    if let Some(octets) = afl.message_octets {
        layers.note(2, "message length", octets.to_string());
    }
}

fn note_transport(layers: &mut Layers, header: &Header) {
    layers.note(1, "CI field", format!("{:02X}h", header.ci));
    if let Some(address) = header.address {
        layers.note(8, "meter", address.to_string());
    }
    if let Some(access_number) = header.access_number {
        layers.note(1, "access number", access_number.to_string());
    }
    if let Some(status) = header.status {
        layers.note(1, "status", format!("{status:08b}"));
    }
    if let Some(configuration) = header.configuration {
        let mode = super::tpl::mode_of(configuration);
        layers.note(2, "configuration field", format!("security mode {mode}"));
    }
    let noted = header.address.map_or(0_usize, |_| 8);
    let fixed = match header.configuration {
        Some(_) => noted.saturating_add(5),
        None => 1,
    };
    layers.note(
        header.len.saturating_sub(fixed),
        "extension of the configuration field",
        String::new(),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]

    use hex_literal::hex;

    use super::*;

    #[test]
    fn every_octet_of_any_cut_telegram_has_one_name() {
        // CEN/TR 17167 with a radio adapter: all layers.
        let telegram = hex!(
            "530824484433221103378E80753A63665544330A31900F002C25B30A0000AF5D74DF73A600D972785634"
            "129315330375002007109058475F4BC91DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93"
        );
        for end in 1..=telegram.len() {
            let layers = layers(&telegram[..end]);
            let mut at = 0;
            for note in &layers.notes {
                assert_eq!(note.offset, at, "{end}");
                at += note.len;
            }
            assert_eq!(at, layers.octets.len(), "{end}");
        }
        let names: Vec<&str> = layers(&telegram)
            .notes
            .iter()
            .map(|note| note.name)
            .collect();
        assert!(
            names.contains(&"MAC") && names.contains(&"meter"),
            "{names:?}"
        );
        assert!(!names.contains(&"undecoded"), "{names:?}");
    }
}
