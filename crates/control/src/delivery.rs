//! Delivery of a new key by claim (`"deliver": "claim"`): the answer shows a link instead of the key, and whoever opens the link mints
//! the key.

use serde::{Deserialize, Serialize};

use super::body::{Fields, Json, invalid};
use super::changed::{Changed, credential_of};
use super::failure::Failure;
use super::operation::{Answer, Input};
use keyward_http::limits::{CLAIM_HOURS_DEFAULT, CLAIM_HOURS_MOST};
use keyward_http::problem::Problem;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{NewCredential, Raw};
use keyward_registry::claims::{self, NewClaim};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// Terms of a claim. Under these terms the message's credential has the hash of the claim's secret instead of a key's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimTerms {
    /// A reader that knows no claims must not ignore one: always 3.
    pub min_reader: u64,
    /// Time until the claim ends, in hours.
    pub hours: u32,
}

impl ClaimTerms {
    /// Creates the terms of a claim of that many hours.
    #[must_use]
    pub const fn new(hours: u32) -> Self {
        Self { min_reader: 3, hours }
    }
}

/// Parses `deliver` and `claim_hours`. `None` if the answer is to show the key.
pub(super) fn parse(fields: &mut Fields) -> Result<Option<ClaimTerms>, Problem> {
    let hours = match fields.take("claim_hours") {
        None => None,
        Some(Json::Number(hours)) if (1..=CLAIM_HOURS_MOST.into()).contains(&hours) => {
            Some(u32::try_from(hours).unwrap_or(CLAIM_HOURS_MOST))
        }
        Some(_) => {
            let detail = format!("This must be a whole number of hours, 1 to {CLAIM_HOURS_MOST}.");
            return Err(invalid("claim_hours", detail));
        }
    };
    match (fields.take("deliver"), hours) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(invalid("claim_hours", "Send this only with \"deliver\": \"claim\".")),
        (Some(Json::Text(text)), hours) if text == "claim" => {
            Ok(Some(ClaimTerms::new(hours.unwrap_or(CLAIM_HOURS_DEFAULT))))
        }
        (Some(_), _) => Err(invalid("deliver", "This must be \"claim\". Leave it out to get the key in the answer.")),
    }
}

/// A pending key whose claim [`open`] inserts.
pub(super) struct PendingKey<'a> {
    pub terms: &'a ClaimTerms,
    /// Id of the key, and hash of the claim's secret.
    pub credential: &'a NewCredential,
    pub expires_at: Millis,
    /// Overlap of the rotation, if the key has a predecessor.
    pub overlap_seconds: Option<u32>,
    pub revision: u64,
}

/// Inserts the claim of a key that was just inserted, and returns the claim's end: not later than the key's.
pub(super) fn open(store: &mut dyn Store, by: &Context<'_>, key: &PendingKey<'_>) -> Result<Opened, OperationError> {
    let keyward_key::id::Class::Data(environment) = key.credential.id.class() else {
        return Err(keyward_registry::store::StoreError::new("a claim is of a key").into());
    };
    let expires_at = by.now.plus_seconds(i64::from(key.terms.hours).saturating_mul(3_600)).min(key.expires_at);
    let claim = NewClaim {
        id: &key.credential.id,
        secret_hash: &key.credential.key_hash,
        environment,
        expires_at,
        overlap_seconds: key.overlap_seconds,
        revision: key.revision,
    };
    claims::insert(store, by, &claim)?;
    Ok(Opened { expires_at })
}

/// An open claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// End of the claim.
    pub expires_at: Millis,
}

/// Outcome of an operation that made a key which waits for its claim.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pending {
    /// View of the key.
    pub key: Raw,
    /// Its claim.
    pub claim: Opened,
}

/// A claim as the answer to its issuer shows it.
#[derive(Serialize)]
pub(super) struct Link {
    id: String,
    url: String,
    expires_at: String,
}

impl Pending {
    /// Creates the answer with the link, which only this answer shows.
    pub(super) fn respond(&self, input: &Input<'_>, minted: Option<&Minted>) -> Result<Answer, Failure> {
        let minted = credential_of(&self.key, minted)?;
        let (id, url) = (minted.id.to_string(), claim_url(input, minted));
        let link = Link { id, url, expires_at: self.claim.expires_at.rfc3339() };
        Ok(input.created(&Changed::pending_key(&self.key, link)))
    }
}

/// Returns the link of a claim. The secret is in the fragment, which no server and no proxy receives. The page is on the host of this
/// request, which is `CONTROL_HOST` if that is set.
pub(super) fn claim_url(input: &Input<'_>, minted: &Minted) -> String {
    format!("{}/_keyward/claim#{}.{}", input.head.base(), minted.id, minted.api_key.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<Option<u32>, String> {
        let mut fields =
            Fields::parse(body.as_bytes(), &["deliver", "claim_hours"]).unwrap_or_else(|_| panic!("{body}"));
        parse(&mut fields).map(|terms| terms.map(|terms| terms.hours)).map_err(|problem| problem.body("r"))
    }

    #[test]
    fn a_claim_is_open_for_1_to_168_hours_and_a_day_by_default() {
        for (body, hours) in [
            ("{}", None),
            (r#"{"deliver":null,"claim_hours":null}"#, None),
            (r#"{"deliver":"claim"}"#, Some(24)),
            (r#"{"deliver":"claim","claim_hours":1}"#, Some(1)),
            (r#"{"claim_hours":168,"deliver":"claim"}"#, Some(168)),
        ] {
            assert_eq!(parsed(body), Ok(hours), "{body}");
        }
        for (body, field) in [
            (r#"{"claim_hours":24}"#, "claim_hours"),
            (r#"{"deliver":"claim","claim_hours":0}"#, "claim_hours"),
            (r#"{"deliver":"claim","claim_hours":169}"#, "claim_hours"),
            (r#"{"deliver":"claim","claim_hours":1.5}"#, "claim_hours"),
            (r#"{"deliver":"claim","claim_hours":"1"}"#, "claim_hours"),
            (r#"{"deliver":"mail"}"#, "deliver"),
            (r#"{"deliver":true}"#, "deliver"),
        ] {
            assert!(parsed(body).unwrap_err().contains(&format!("\"field\":\"{field}\"")), "{body}");
        }
    }
}
