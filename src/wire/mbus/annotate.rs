//! The lossless view of a telegram's layers: what each octet is, as far as it can be read without a
//! key, and the rest as it came.

use super::afl::Afl;
use super::ci::{self, Announced, announced};
use super::ell::ExtendedLink;
use super::link::{self, Carriage, Format, c_field_name};
use super::tpl::{Announced as Security, Derived, Header, mode_name};
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
    fn note(&mut self, len: usize, name: &'static str, value: impl Into<String>) {
        let at = self.end();
        let len = len.min(self.octets.len().saturating_sub(at));
        if len > 0 {
            self.notes.push(Annotation {
                offset: at,
                len,
                name,
                value: value.into(),
            });
        }
    }

    fn end(&self) -> usize {
        self.notes
            .last()
            .map_or(0, |last| last.offset.saturating_add(last.len))
    }
}

/// The part of a telegram that is being named: it ends where what follows the body begins.
struct Body {
    layers: Layers,
    end: usize,
}

impl Body {
    fn rest(&self) -> &[u8] {
        let from = self.layers.end();
        self.layers.octets.get(from..self.end).unwrap_or_default()
    }

    fn note(&mut self, len: usize, name: &'static str, value: impl Into<String>) {
        self.layers.note(len.min(self.rest().len()), name, value);
    }

    fn note_rest(&mut self, name: &'static str, value: impl Into<String>) {
        self.note(self.rest().len(), name, value);
    }
}

/// Names the octets of a telegram that says itself how it is carried.
#[must_use]
pub fn layers(telegram: &[u8]) -> Layers {
    layers_of(telegram, Carriage::Auto)
}

/// Names the octets of a telegram. CRCs of the wireless link are left out, after they were found
/// to hold; application data is one run, which somebody else names.
#[must_use]
pub fn layers_of(telegram: &[u8], carriage: Carriage) -> Layers {
    let mut scratch = Vec::new();
    let mut layers = Layers::default();
    let link = match link::read(telegram, carriage, &mut scratch) {
        Ok(link) => link,
        Err(error) => {
            layers.octets = telegram.to_vec();
            layers.note(telegram.len(), "undecoded", error.to_string());
            return layers;
        }
    };
    let before = telegram.get(..link.body_offset).unwrap_or(telegram);
    let after = telegram.len().saturating_sub(link.trailing_octets);
    let trailing = telegram.get(after..).unwrap_or_default();
    let closing = match link.format {
        Format::WiredLong | Format::WiredShort => {
            let from = after.saturating_sub(2);
            telegram.get(from..after).unwrap_or_default()
        }
        _ => &[],
    };
    layers.octets = [before, link.body, closing, trailing].concat();
    note_link(&mut layers, &link);
    let end = before.len().saturating_add(link.body.len());
    let mut body = Body { layers, end };
    note_layers(&mut body, link.format.is_wired());
    let mut layers = body.layers;
    if !closing.is_empty() {
        layers.note(1, "checksum", "holds");
        layers.note(1, "stop", "");
    }
    layers.note(
        trailing.len(),
        "octets behind the end",
        Hex(trailing).to_string(),
    );
    layers
}

fn note_link(layers: &mut Layers, link: &link::Link<'_>) {
    let c_field = link.c_field.unwrap_or_default();
    let c_field = format!(
        "{c_field:02X}h {}",
        c_field_name(c_field).unwrap_or("unknown")
    );
    let primary = link.primary_address.unwrap_or_default().to_string();
    match link.format {
        Format::WiredAck => layers.note(1, "acknowledgement", ""),
        Format::WiredShort => {
            layers.note(1, "start", "");
            layers.note(1, "C field", c_field);
            layers.note(1, "A field", primary);
        }
        Format::WiredLong => {
            layers.note(1, "start", "");
            let counted = link.body.len().saturating_add(2).to_string();
            layers.note(2, "length, twice", counted);
            layers.note(1, "start", "");
            layers.note(1, "C field", c_field);
            layers.note(1, "A field", primary);
        }
        Format::TransportFirst => {}
        Format::WirelessA
        | Format::WirelessB
        | Format::WirelessPlain
        | Format::WirelessNoLength => {
            let checks = match link.format {
                Format::WirelessA => "format A, the CRCs hold and are left out",
                Format::WirelessB => "format B, the CRCs hold and are left out",
                _ => "without CRCs",
            };
            if link.format != Format::WirelessNoLength {
                layers.note(1, "L field", checks);
            }
            layers.note(1, "C field", c_field);
            let sender = link.sender.map(|sender| sender.to_string());
            layers.note(8, "sender", sender.unwrap_or_default());
        }
    }
}

fn note_layers(body: &mut Body, is_wired: bool) {
    // An extended link layer, an AFL and the transport header at most.
    for _ in 0..3 {
        let Some(ci) = body.rest().first().copied() else {
            return;
        };
        let is_fixed = body.rest().len() == FIXED_WITH_CI;
        let at = body.layers.end();
        let named = format!("{ci:02X}h {}", ci::name(ci, is_wired).unwrap_or("unknown"));
        let noted = match announced(ci, is_wired, is_fixed) {
            Some(Announced::ExtendedLink {
                has_address,
                has_session,
            }) => {
                let layer = ExtendedLink::read(body.rest(), at, has_address, has_session);
                layer.map(|layer| note_extended(body, named, &layer))
            }
            Some(Announced::Authentication) => {
                let rest = body.rest().to_vec();
                Afl::read(&rest, at).map(|afl| note_afl(body, named, &afl))
            }
            Some(Announced::Transport(kind)) => {
                let header = Header::read(body.rest(), at, kind, is_wired && ci == 0x76);
                match header {
                    Ok(header) => note_transport(body, named, &header),
                    Err(error) => body.note_rest("undecoded", error.to_string()),
                }
                body.note_rest("application data", "");
                return;
            }
            Some(Announced::OtherLayer) | None => {
                body.note(1, "CI field", named);
                body.note_rest("undecoded", "");
                return;
            }
        };
        if let Err(error) = noted {
            body.note_rest("undecoded", error.to_string());
            return;
        }
    }
    body.note_rest("undecoded", "");
}

/// The fixed structure of old wired meters with its CI field.
const FIXED_WITH_CI: usize = 17;

/// The bits of a field that are set, by name, bit 7 first.
fn bits(octet: u8, names: [&'static str; 8]) -> String {
    let mut text = format!("{octet:08b}");
    let mut between = ": ";
    for (bit, name) in (0..8).rev().zip(names) {
        if octet >> bit & 1 == 1 && !name.is_empty() {
            text.push_str(between);
            text.push_str(name);
            between = ", ";
        }
    }
    text
}

// clause: EN 13757-4, 13.2.7, communication control field
const CONTROL_BITS: [&str; 8] = [
    "bidirectional",
    "response delay",
    "synchronous",
    "hop",
    "priority",
    "accessible",
    "repeated access",
    "",
];

fn note_extended(body: &mut Body, named: String, layer: &ExtendedLink) {
    body.note(1, "CI field", named);
    body.note(
        1,
        "communication control",
        bits(layer.control, CONTROL_BITS),
    );
    body.note(
        1,
        "access number of the link",
        layer.access_number.to_string(),
    );
    if let Some(address) = layer.address {
        body.note(8, "other address", address.to_string());
    }
    if let Some(session) = layer.session {
        let value = match session.encryption() {
            0 => "in clear".to_owned(),
            1 => "AES-128-CTR".to_owned(),
            other => format!("encryption {other}"),
        };
        body.note(4, "session number", value);
        body.note(
            2,
            "payload CRC",
            "encrypted with what follows, unless in clear",
        );
    }
}

fn note_afl(body: &mut Body, named: String, afl: &Afl<'_>) {
    body.note(1, "CI field", named);
    body.note(1, "AFLL", afl.len.saturating_sub(2).to_string());
    let which = match (afl.fragment, afl.more_fragments) {
        (0, _) => "whole message".to_owned(),
        (number, true) => format!("fragment {number}, more follow"),
        (number, false) => format!("fragment {number}, the last"),
    };
    body.note(2, "fragmentation control", which);
    if let Some(control) = afl.control {
        let mac = match control.cmac_octets() {
            Some(0) => "no MAC".to_owned(),
            Some(octets) => format!("CMAC of {octets} octets"),
            None => "another MAC".to_owned(),
        };
        body.note(1, "message control", mac);
    }
    if let Some([number, version]) = afl.key {
        body.note(
            2,
            "key information",
            format!("{number:02X}h, version {version}"),
        );
    }
    if let Some(counter) = afl.counter {
        let counter = u32::from_le_bytes(counter).to_string();
        body.note(4, "message counter", counter);
    }
    body.note(afl.mac.len(), "MAC", Hex(afl.mac).to_string());
    if let Some(octets) = afl.message_octets {
        body.note(2, "message length", octets.to_string());
    }
}

/// The status octet of a meter; in telegrams to a meter it has the level of reception.
// clause: EN 13757-7, 7.5.6; OMS Volume 2, 7.2.3
fn status(octet: u8) -> String {
    let names = [
        "",
        "",
        "",
        "temporary error",
        "permanent error",
        "low battery",
        "",
        "",
    ];
    let application = match octet & 3 {
        0 => "no error of the application",
        1 => "application busy",
        2 => "application error",
        _ => "abnormal condition or alarm",
    };
    format!("{}; {application}", bits(octet, names))
}

fn note_transport(body: &mut Body, named: String, header: &Header) {
    body.note(1, "CI field", named);
    if let Some(address) = header.address {
        body.note(8, "meter", address.to_string());
    }
    if let Some(access_number) = header.access_number {
        body.note(1, "access number", access_number.to_string());
    }
    if let Some(octet) = header.status {
        let value = match ci::is_to_meter(header.ci) {
            true => format!("{octet:02X}h"),
            false => status(octet),
        };
        body.note(1, "status", value);
    }
    let mode = header.mode();
    let named = format!("security mode {mode} ({})", mode_name(mode));
    match header.security {
        Security::Clear | Security::Other(_) => {
            body.note(
                header.configuration.map_or(0, |_| 2),
                "configuration field",
                named,
            );
        }
        Security::Mode5 { blocks } => {
            let named = format!("{named}, {}", extent(blocks, "blocks"));
            body.note(2, "configuration field", named);
        }
        Security::Mode7(derived) => {
            let named = format!("{named}, {}", extent(derived.encrypted, "blocks"));
            body.note(2, "configuration field", named);
            note_derived(body, 1, &derived);
        }
        Security::Mode10(derived) => {
            let named = format!("{named}, {}", extent(derived.encrypted, "octets"));
            body.note(2, "configuration field", named);
            note_derived(body, 2, &derived);
        }
    }
}

fn extent(encrypted: Option<u8>, unit: &str) -> String {
    match encrypted {
        Some(count) => format!("{count} encrypted {unit}"),
        None => "all encrypted".to_owned(),
    }
}

fn note_derived(body: &mut Body, octets: usize, derived: &Derived) {
    let value = format!(
        "key {:02X}h, derivation {}",
        derived.key_id, derived.derivation
    );
    body.note(octets, "extension of the configuration field", value);
    if let Some(version) = derived.key_version {
        body.note(1, "key version", version.to_string());
    }
    if let Some(counter) = derived.counter {
        let counter = u32::from_le_bytes(counter).to_string();
        body.note(4, "message counter", counter);
    }
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

    #[test]
    fn what_closes_a_wired_frame_and_what_follows_a_telegram_is_named_too() {
        // OMS Volume 2 Annex N, N.2.2, and an octet of noise.
        let wired =
            hex!("6820206808FD7278563412931533032A0000000C1427048502046D32371F1502FD1700008916A5");
        let layers = layers(&wired);
        assert_eq!(layers.octets, wired);
        let told = |name| {
            let note = layers.notes.iter().find(|note| note.name == name);
            note.map(|note| (note.offset, note.value.clone())).unwrap()
        };
        assert_eq!(told("checksum"), (36, "holds".to_owned()));
        assert_eq!(told("octets behind the end"), (38, "a5".to_owned()));
        assert_eq!(told("length, twice"), (1, "32".to_owned()));
        assert_eq!(told("application data").0, 19);
        assert_eq!(told("configuration field").1, "security mode 0 (none)");
    }
}
