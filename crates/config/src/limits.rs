//! Parser of `DEFAULT_LIMITS`.

use serde_json::Value;

use keyward_key::limit::{LIMITS, Limit};

/// Parses a list of limits in the form that the API takes.
///
/// # Errors
/// The problem, for the list of problems.
pub(super) fn parse_limits(list: Option<Value>) -> Result<Vec<Limit>, String> {
    let Some(Value::Array(items)) = list else {
        return Err("must be a list like [{\"name\": \"burst\", \"requests\": 100, \"seconds\": 60}]".to_owned());
    };
    if items.len() > LIMITS {
        return Err(format!("may have at most {LIMITS} limits"));
    }
    let mut limits: Vec<Limit> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let known = ["name", "requests", "seconds", "period"];
        let unknown = item.as_object().and_then(|fields| fields.keys().find(|name| !known.contains(&name.as_str())));
        if let Some(name) = unknown {
            return Err(format!("[{index}] has an unknown entry `{name}`; known are {}", known.join(", ")));
        }
        let limit: Limit = serde_json::from_value(item).map_err(|error| format!("[{index}]: {error}"))?;
        if limits.iter().any(|other| other.name() == limit.name()) {
            return Err(format!("[{index}] has the name of another limit: use each name once"));
        }
        limits.push(limit);
    }
    Ok(limits)
}
