//! The effective settings, for people to read. Values of secrets are never retained.

use serde_json::{Map, Value};

use super::Config;
use super::reader::Reader;
use super::settings::{SETTINGS, Setting};

/// Settings as given, without the values of secrets.
pub(super) struct Given {
    values: Map<String, Value>,
    secrets: Vec<&'static str>,
}

/// One effective setting.
pub struct EffectiveSetting {
    /// The row of the setting.
    pub setting: &'static Setting,
    /// Effective value: as given, or the default. Null for a secret, and without either.
    pub value: Value,
    /// Whether the deployment sets it.
    pub is_set: bool,
}

impl Reader<'_> {
    /// Returns the settings that are set.
    pub(super) fn given(&self) -> Given {
        let mut given = Given { values: Map::new(), secrets: Vec::new() };
        for setting in SETTINGS {
            match self.get(setting.name) {
                Some(_) if setting.secret => given.secrets.push(setting.name),
                Some(value) => drop(given.values.insert(setting.name.to_owned(), typed(value, setting.default))),
                None => {}
            }
        }
        given
    }
}

/// Returns a value that was given as a string in its JSON type, if its default is no string or it is a list or object.
fn typed(value: &Value, default: Option<&str>) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let is_typed = default.is_some_and(|default| !of_default(default).is_string()) || text.starts_with(['[', '{']);
    let parsed = is_typed.then(|| serde_json::from_str(text).ok()).flatten();
    parsed.unwrap_or_else(|| value.clone())
}

/// Returns a documented default in its JSON type.
#[must_use]
pub fn of_default(default: &str) -> Value {
    serde_json::from_str(default).unwrap_or_else(|_| default.into())
}

impl Config {
    /// Returns every setting with its effective value, in the order of the table. `ROUTES` has [its own form](Self::route_rows), and its
    /// value here is the number of routes.
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveSetting> {
        let of = |setting: &'static Setting| {
            let given = self.given.values.get(setting.name);
            let value = match given {
                _ if setting.secret => Value::Null,
                Some(Value::Array(rows)) if setting.name == "ROUTES" => rows.len().into(),
                Some(value) => value.clone(),
                None => setting.default.map_or(Value::Null, of_default),
            };
            let is_set = given.is_some() || self.given.secrets.contains(&setting.name);
            EffectiveSetting { setting, value, is_set }
        };
        SETTINGS.iter().map(of).collect()
    }

    /// Returns the rows of `ROUTES` as given, each with its `access`: `public` or `key`.
    #[must_use]
    pub fn route_rows(&self) -> Vec<Value> {
        let rows = self.given.values.get("ROUTES").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let with_access = |row: &Value| {
            let mut row = row.clone();
            if let Value::Object(fields) = &mut row {
                fields.entry("access").or_insert_with(|| "key".into());
            }
            row
        };
        rows.iter().map(with_access).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(changes: &Value) -> Config {
        let mut vars = json!({
            "KEYWARD_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-test",
            "ORIGIN_LIVE": "https://origin.example",
            "ROUTES": [{"match": "GET /v1/contacts", "scope": "contacts:read"}, {"match": "GET /public/*", "access": "public"}],
        });
        let (Some(vars), Some(changes)) = (vars.as_object_mut(), changes.as_object()) else { panic!() };
        vars.extend(changes.clone());
        Config::parse(vars).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn value(config: &Config, name: &str) -> (Value, bool) {
        let found = config.effective().into_iter().find(|row| row.setting.name == name).unwrap();
        (found.value, found.is_set)
    }

    #[test]
    fn every_setting_is_shown_with_its_effective_value_and_type() {
        let changes = json!({
            "MAX_KEY_DAYS": "30", "REQUIRE_HTTPS": "false", "REVOCATION_BOUND_SECONDS": 7, "AUTHORITY_EPOCH": "2027",
            "ROUTE_HOSTS": "[\"api.example\"]", "ISSUER": "",
        });
        let config = config(&changes);
        for (name, expected, is_set) in [
            ("MAX_KEY_DAYS", json!(30), true),
            ("REQUIRE_HTTPS", json!(false), true),
            ("REVOCATION_BOUND_SECONDS", json!(7), true),
            ("AUTHORITY_EPOCH", json!("2027"), true),
            ("ROUTE_HOSTS", json!(["api.example"]), true),
            ("KEY_PREFIX", json!("wafl"), false),
            ("OUTAGE_GRACE_SECONDS", json!(60), false),
            ("ISSUER", Value::Null, false),
            ("ROUTES", json!(2), true),
        ] {
            assert_eq!(value(&config, name), (expected, is_set), "{name}");
        }
        assert_eq!(config.effective().len(), SETTINGS.len());
    }

    #[test]
    fn a_secret_is_shown_as_set_and_its_value_is_not_retained() {
        let secret = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let config = config(
            &json!({"KEYWARD_SECRET_PREVIOUS": secret, "LEAK_GITLAB_TOKEN": "a-token-of-gitlab-of-a-test", "METRICS_TOKEN": "a-token-of-metrics-of-a-test"}),
        );
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            assert_eq!(value(&config, setting.name), (Value::Null, true), "{}", setting.name);
            assert!(!config.given.values.contains_key(setting.name));
        }
    }

    #[test]
    fn routes_are_shown_as_given_also_from_a_string() {
        let rows = json!([
            {"match": "GET /v1/contacts", "scope": "contacts:read", "access": "key"},
            {"match": "GET /public/*", "access": "public"},
        ]);
        assert_eq!(Value::Array(config(&json!({})).route_rows()), rows);
        let text = r#"[{"match": "GET /v1/contacts", "scope": "contacts:read"}, {"match": "GET /public/*", "access": "public"}]"#;
        assert_eq!(Value::Array(config(&json!({"ROUTES": text})).route_rows()), rows);
    }
}
