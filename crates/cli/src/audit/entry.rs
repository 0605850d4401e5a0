//! A line of the log as an entry. Strict, because two readings of one line would be two logs.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use keyward_protocol::audit::Entry;

/// The fields of an entry, each once and no other.
const FIELDS: [&str; 8] = ["action", "actor", "at", "detail", "hash", "previous", "seq", "subject"];
/// Greatest integer that every JSON reader keeps exactly.
const EXACT: u64 = (1 << 53) - 1;

/// JSON without duplicate fields and without numbers that readers understand differently.
struct Strict(Json);

struct StrictVisitor;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        if value > EXACT { Err(E::custom("a number is not exact")) } else { Ok(value.into()) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        if value.unsigned_abs() > EXACT { Err(E::custom("a number is not exact")) } else { Ok(value.into()) }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((name, Strict(value))) = fields.next_entry::<String, Strict>()? {
            // Keyward writes ASCII names only. Others would sort differently in UTF-8 and in UTF-16.
            if !name.is_ascii() {
                return Err(A::Error::custom("the name of a field is not ASCII"));
            }
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        Ok(Json::Object(map))
    }
}

/// Parses a line.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Result<Entry, String> {
    let Strict(json) = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let names: Vec<&str> =
        json.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default();
    if names != FIELDS {
        return Err("it does not have exactly the fields of an entry".to_owned());
    }
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// A line of docs/concepts/audit.md.
    const LINE: &str = r#"{"seq": 4, "at": "2026-11-23T14:02:06.004Z", "actor": "wafl_admin_Owner0000001", "action": "key.revoke",
 "subject": "wafl_live_000000000001",
 "detail": {"client_address": "192.0.2.7", "reason": "Leaked in a log: “é”", "request_id": "req-1"},
 "previous": "05368615af4ad8546b8979613ed6ddf83104bf7cb6f5dd42d9c51fb10640fc5b",
 "hash": "357bcac1f3e8b706b2d39a2c91f051141f12dabc04a5065bd4cfae6c43bc73f5"}"#;

    #[test]
    fn the_documented_entry_has_its_documented_hash() {
        let entry = parse(LINE.as_bytes()).unwrap();
        assert_eq!(entry.expected_hash().as_deref(), Some(entry.hash.as_str()));
    }

    #[test]
    fn a_line_that_two_readers_could_read_differently_is_refused() {
        for (from, to) in [
            ("\"seq\": 4", "\"seq\": 4, \"seq\": 5"),
            ("\"seq\": 4", "\"seq\": 4.0"),
            ("\"seq\": 4", "\"seq\": 4e0"),
            ("\"request_id\"", "\"client_address\": null, \"request_id\""),
            ("\"req-1\"", "9007199254740992"),
            ("\"req-1\"", "-9007199254740992"),
            ("\"request_id\"", "\"é\""),
            ("\"seq\": 4", "\"seq\": 4, \"note\": 1"),
            ("\"seq\": 4, ", ""),
            ("}", "} x"),
        ] {
            assert!(parse(LINE.replacen(from, to, 1).as_bytes()).is_err(), "{from} → {to}");
        }
        assert!(parse(b"[]").is_err() && parse(b"").is_err() && parse(b"\xff").is_err());
    }
}
