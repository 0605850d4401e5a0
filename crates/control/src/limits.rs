//! Parser of the field `limits`.

use super::body::{Fields, Json, invalid};
use keyward_http::problem::Problem;
use keyward_key::limit::{BadLimit, LIMITS, Limit, Period, Span};

/// Takes the field `limits`. Absent and `null` are `None`: `DEFAULT_LIMITS` apply.
pub(super) fn take_limits(fields: &mut Fields) -> Result<Option<Vec<Limit>>, Problem> {
    let items = match fields.take("limits") {
        None => return Ok(None),
        Some(Json::List(items)) => items,
        Some(_) => return Err(invalid("limits", "This must be a list of limits, or null for the default.")),
    };
    if items.len() > LIMITS {
        return Err(invalid("limits", format!("This list may have at most {LIMITS} entries.")));
    }
    let mut limits: Vec<Limit> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let limit = parse(item, &format!("limits[{index}]"))?;
        if limits.iter().any(|other| other.name() == limit.name()) {
            return Err(invalid(format!("limits[{index}].name"), "Duplicate name. Use each name once."));
        }
        limits.push(limit);
    }
    Ok(Some(limits))
}

fn parse(item: Json, place: &str) -> Result<Limit, Problem> {
    let Json::Object(entries) = item else {
        return Err(invalid(place, "A limit has name, requests, and either seconds or period."));
    };
    let mut fields = Fields::of(entries, &["name", "requests", "seconds", "period"], &format!("{place}."))?;
    limit(&mut fields).map_err(|BadLimit { field, detail }| invalid(format!("{place}.{field}"), detail))
}

fn limit(fields: &mut Fields) -> Result<Limit, BadLimit> {
    let bad = |field, detail| BadLimit { field, detail };
    let Some(Json::Text(name)) = fields.take("name") else {
        return Err(bad("name", "This is required and must be a string."));
    };
    let Some(Json::Number(requests)) = fields.take("requests") else {
        return Err(bad("requests", "This must be a whole number, 1 to 1000000000."));
    };
    let span = match (fields.take("seconds"), fields.take("period")) {
        (Some(Json::Number(seconds)), None) => Span::Seconds(u32::try_from(seconds).unwrap_or(u32::MAX)),
        (Some(_), None) => return Err(bad("seconds", "This must be a whole number of seconds, 1 to 86400.")),
        (None, Some(Json::Text(text))) if text == "day" => Span::Period(Period::Day),
        (None, Some(Json::Text(text))) if text == "month" => Span::Period(Period::Month),
        (None, Some(_)) => return Err(bad("period", "This must be \"day\" or \"month\".")),
        (None, None) => return Err(bad("seconds", "Either seconds or period is required.")),
        (Some(_), Some(_)) => return Err(bad("period", "Send either seconds or period.")),
    };
    Limit::new(name, requests, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn field_of(limits: &Value) -> Result<Option<usize>, String> {
        let body = json!({"limits": limits}).to_string();
        let mut fields = Fields::parse(body.as_bytes(), &["limits"]).unwrap_or_else(|_| panic!("{body}"));
        let taken = take_limits(&mut fields);
        taken.map(|limits| limits.map(|limits| limits.len())).map_err(|problem| {
            let shown: Value = serde_json::from_str(&problem.body("r")).unwrap();
            shown["field"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn limits_are_parsed_and_an_absent_list_means_the_default() {
        assert_eq!(field_of(&Value::Null), Ok(None));
        assert_eq!(field_of(&json!([])), Ok(Some(0)));
        let four = json!([
            {"name": "burst", "requests": 100, "seconds": 60},
            {"name": "daily", "requests": 1e4, "period": "day", "seconds": null},
            {"name": "monthly", "requests": 100_000, "period": "month"},
            {"name": "second", "requests": 1, "seconds": 1.0},
        ]);
        assert_eq!(field_of(&four), Ok(Some(4)));
    }

    #[test]
    fn the_wrong_field_of_a_limit_is_named() {
        let good = json!({"name": "a", "requests": 1, "seconds": 1});
        for (limits, field) in [
            (json!({}), "limits"),
            (json!([good, good, good, good, good]), "limits"),
            (json!([1]), "limits[0]"),
            (json!([{"name": "a", "requests": 1, "seconds": 1, "burst": 2}]), "limits[0].burst"),
            (json!([good, {"name": "a", "requests": 1, "period": "day"}]), "limits[1].name"),
            (json!([{"name": "A", "requests": 1, "seconds": 1}]), "limits[0].name"),
            (json!([{"requests": 1, "seconds": 1}]), "limits[0].name"),
            (json!([{"name": "a", "requests": 0, "seconds": 1}]), "limits[0].requests"),
            (json!([{"name": "a", "requests": "9", "seconds": 1}]), "limits[0].requests"),
            (json!([{"name": "a", "requests": 1}]), "limits[0].seconds"),
            (json!([good, {"name": "b", "requests": 1, "seconds": 86_401}]), "limits[1].seconds"),
            (json!([{"name": "a", "requests": 1, "seconds": 4_294_967_297_u64}]), "limits[0].seconds"),
            (json!([{"name": "a", "requests": 1, "seconds": 1, "period": "day"}]), "limits[0].period"),
            (json!([{"name": "a", "requests": 1, "period": "week"}]), "limits[0].period"),
        ] {
            assert_eq!(field_of(&limits), Err(field.to_owned()), "{limits}");
        }
    }
}
