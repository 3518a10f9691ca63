//! Test keys of the vectors, as a terminal would hold them.

use simulator::crypto::SecretKey;
use simulator::keys::{BaseKey, Identity, KeyRing, Mode, Owner, Pair, Purpose, Utility, base_key};

/// A terminal of the key file.
pub struct Entry {
    pub owner: Owner,
    pub mode: Mode,
    imported: Vec<(String, u8, SecretKey)>,
    masters: Vec<(String, u8, String, SecretKey)>,
    pub promoted: u8,
    pub allow_mode0: bool,
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| u8::try_from(d).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4) | pair[1])
        .collect()
}

fn octets8(value: &toml::Value) -> [u8; 8] {
    unhex(value.as_str().unwrap()).try_into().unwrap()
}

fn number(value: &toml::Value) -> u8 {
    u8::try_from(value.as_integer().unwrap()).unwrap()
}

fn secret(value: &toml::Value) -> SecretKey {
    SecretKey::new(&unhex(value.as_str().unwrap())).unwrap()
}

fn list<'a>(table: &'a toml::Value, name: &str) -> &'a [toml::Value] {
    table
        .get(name)
        .and_then(|v| v.as_array())
        .map_or(&[], |v| v.as_slice())
}

/// All terminals of a key file.
pub fn load(text: &str) -> Vec<Entry> {
    let file: toml::Value = toml::from_str(text).unwrap();
    let utilities = list(&file, "utility");
    list(&file, "terminal")
        .iter()
        .map(|terminal| {
            let utility = &terminal["utility"];
            let of = utilities.iter().find(|u| u["id"] == *utility).unwrap();
            let masters = ["link", "command", "kek"].into_iter().flat_map(|purpose| {
                list(of, &format!("{purpose}_master")).iter().map(move |m| {
                    let state = m["state"].as_str().unwrap().to_owned();
                    (
                        purpose.to_owned(),
                        number(&m["version"]),
                        state,
                        secret(&m["key"]),
                    )
                })
            });
            let imported = list(terminal, "imported").iter().map(|i| {
                let purpose = i["purpose"].as_str().unwrap().to_owned();
                (purpose, number(&i["version"]), secret(&i["key"]))
            });
            Entry {
                owner: Owner {
                    utility: Utility(octets8(utility)),
                    identity: Identity(octets8(&terminal["identity"])),
                },
                mode: Mode::from_code(number(&terminal["mode"])).unwrap(),
                imported: imported.collect(),
                masters: masters.collect(),
                allow_mode0: terminal["allow_mode0"].as_bool().unwrap(),
                promoted: terminal.get("promoted_link_version").map_or(0, number),
            }
        })
        .collect()
}

impl Entry {
    /// The base key of a purpose and version.
    pub fn base(&self, purpose: Purpose, version: u8) -> Option<BaseKey> {
        let name = name(purpose);
        if let Some((.., key)) = self
            .imported
            .iter()
            .find(|(p, v, _)| p == name && *v == version)
        {
            return Some(BaseKey {
                version,
                key: key.clone(),
            });
        }
        let found = self
            .masters
            .iter()
            .find(|(p, v, ..)| p == name && *v == version);
        found.map(|(.., master)| base_key(master, &self.owner, purpose, version).unwrap())
    }

    /// The version that a server would take: imported, or ACTIVE.
    pub fn active(&self, purpose: Purpose) -> BaseKey {
        let name = name(purpose);
        let imported = self
            .imported
            .iter()
            .find(|(p, ..)| p == name)
            .map(|(_, v, _)| *v);
        let active = self
            .masters
            .iter()
            .filter(|(p, _, s, _)| p == name && s == "ACTIVE");
        let version = imported
            .or_else(|| active.map(|(_, v, ..)| *v).max())
            .unwrap();
        let version = if purpose == Purpose::Link {
            version.max(self.promoted)
        } else {
            version
        };
        self.base(purpose, version).unwrap()
    }

    /// A ring of active keys.
    pub fn ring(&self) -> KeyRing {
        KeyRing {
            link: Pair::of(self.active(Purpose::Link)),
            command: Pair::of(self.active(Purpose::Command)),
            key_encryption: Pair::of(self.active(Purpose::KeyEncryption)),
        }
    }

    /// Whether mode and key fit.
    pub fn usable(&self) -> bool {
        self.mode != Mode::GcmSession || self.active(Purpose::Link).key.octets() == 32
    }
}

fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Link => "link",
        Purpose::Command => "command",
        Purpose::KeyEncryption => "kek",
    }
}
