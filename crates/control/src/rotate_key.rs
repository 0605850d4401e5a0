//! `POST /_keyward/v1/keys/{id}/rotate`: a successor for a key, which itself goes on for the overlap.

use super::body::{Fields, Json, invalid};
use super::show_key::parse_id;
use keyward_http::problem::{Code, Problem};
use keyward_key::id::{Class, KeyId};
use keyward_protocol::{Command, NewCredential};

/// How long the old key goes on when nothing is said: a day.
const DEFAULT_OVERLAP: u32 = 86_400;
/// The longest overlap, 30 days.
const LONGEST_OVERLAP: u32 = 2_592_000;

/// What is asked for.
pub(super) struct Rotation {
    /// The key to be succeeded.
    pub id: KeyId,
    /// What its successor opens: the same.
    pub class: Class,
    overlap_seconds: u32,
}

/// Parses `{"overlap_seconds"?}`.
pub(super) fn parse(segment: &str, body: &[u8]) -> Result<Rotation, Problem> {
    let id = parse_id(segment)?;
    let class = id.class();
    if class == Class::Member {
        return Err(Code::NotFound.into());
    }
    let mut fields = Fields::parse(body, &["overlap_seconds"])?;
    let overlap_seconds = match fields.take("overlap_seconds") {
        None => DEFAULT_OVERLAP,
        Some(Json::Number(seconds)) if seconds <= LONGEST_OVERLAP.into() => {
            u32::try_from(seconds).unwrap_or(LONGEST_OVERLAP)
        }
        Some(_) => return Err(invalid("overlap_seconds", "This must be a whole number from 0 to 2592000 (30 days).")),
    };
    Ok(Rotation { id, class, overlap_seconds })
}

impl Rotation {
    /// The command, with what was minted for the successor.
    pub fn command(self, credential: NewCredential) -> Command {
        Command::RotateKey { id: self.id, overlap_seconds: self.overlap_seconds, credential }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_0_to_30_days_and_a_day_where_nothing_is_said() {
        let id = "wafl_live_8Fh2kQ0sZp1L";
        for (body, seconds) in [
            ("{}", 86_400),
            (r#"{"overlap_seconds":null}"#, 86_400),
            (r#"{"overlap_seconds":0}"#, 0),
            (r#"{"overlap_seconds":2592000}"#, 2_592_000),
        ] {
            assert_eq!(parse(id, body.as_bytes()).ok().unwrap().overlap_seconds, seconds, "{body}");
        }
        for value in ["2592001", "-1", "1.5", "\"1\"", "1e300", "4294967296"] {
            assert!(parse(id, format!("{{\"overlap_seconds\":{value}}}").as_bytes()).is_err(), "{value}");
        }
        assert!(parse("wafl_admin_8Fh2kQ0sZp1L", b"{}").is_err());
        assert!(parse(id, b"").is_err());
    }
}
