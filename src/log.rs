//! The operator's log: one line of JSON for each event.
//!
//! No line contains a key, a credential or a secret, because only `expose` turns one into a string.

use serde_json::{Map, Value};
use worker::{console_error, console_log, console_warn};

pub use keyward_edge::Level;

/// Writes `{"level", "event", …fields}`.
pub fn event(level: Level, event: &str, fields: &[(&str, &str)]) {
    let mut line = Map::new();
    let name = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    line.insert("level".to_owned(), name.into());
    line.insert("event".to_owned(), event.into());
    for (field, value) in fields {
        line.insert((*field).to_owned(), (*value).into());
    }
    let line = Value::Object(line).to_string();
    match level {
        Level::Info => console_log!("{line}"),
        Level::Warn => console_warn!("{line}"),
        Level::Error => console_error!("{line}"),
    }
}
