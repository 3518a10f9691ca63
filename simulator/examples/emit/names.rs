//! Codes and ids of the registries.

use serde_json::Value;

pub(crate) struct Names(Vec<(&'static str, String, i64)>);

impl Names {
    pub(crate) fn load() -> Self {
        let mut all = Vec::new();
        for (file, table, list) in [
            ("units", "class", "quantity"),
            ("valve-states", "state", "valve"),
            ("alarms", "alarm", "alarm"),
            ("commands", "command", "command"),
            ("commands", "outcome", "outcome"),
        ] {
            let path = format!(
                "{}/../protocol-spec/registries/{file}.toml",
                env!("CARGO_MANIFEST_DIR")
            );
            let text = std::fs::read_to_string(path).unwrap();
            let parsed: toml::Value = toml::from_str(&text).unwrap();
            for entry in parsed[table].as_array().unwrap() {
                let id = entry["id"].as_str().unwrap().to_owned();
                let code = entry.get("code").or_else(|| entry.get("class")).unwrap();
                all.push((list, id, code.as_integer().unwrap()));
            }
        }
        Self(all)
    }

    pub(crate) fn code(&self, list: &str, id: &Value) -> u8 {
        let id = id.as_str().unwrap();
        let known = self
            .0
            .iter()
            .find(|(l, i, _)| *l == list && i == id)
            .map(|(.., c)| *c);
        let unknown = id.strip_prefix("unknown_").and_then(|d| d.parse().ok());
        u8::try_from(known.or(unknown).unwrap()).unwrap()
    }

    #[allow(dead_code, reason = "not every test names codes")]
    pub(crate) fn id(&self, list: &str, code: u8) -> String {
        let known = self
            .0
            .iter()
            .find(|(l, _, c)| *l == list && *c == i64::from(code));
        known.map_or_else(|| format!("unknown_{code}"), |(_, id, _)| id.clone())
    }
}
