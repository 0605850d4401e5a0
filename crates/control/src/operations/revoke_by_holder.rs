//! `POST /_keyward/oauth/revoke`: the holder of a key revokes it (RFC 7009).
//!
//! Any holder of a key may revoke that key, and do nothing else. The registry verifies the holder by the hash in the key's row, in the
//! transaction of the revocation. The holder gets the same response for every outcome; the reason of a refusal is logged.

use serde::{Deserialize, Serialize};

use super::revoke_key::{Revoked, revoke};
use crate::failure::Failure;
use crate::oauth;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, ServedOn, Spec};
use keyward_gate::SubmittedKey;
use keyward_http::reply::Reply;
use keyward_key::mint::Minted;
use keyward_protocol::Rejection;
use keyward_registry::authentication::unauthenticated;
use keyward_registry::context::{Actor, Context, OperationError};
use keyward_registry::store::Store;

/// Reason that the key's view and the log show.
const REASON: &str = "Revoked by whoever holds it";

/// The request.
#[derive(Default, Serialize, Deserialize)]
pub struct RevokeByHolder {
    #[serde(skip)]
    key: Option<SubmittedKey>,
}

/// The revoked key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the revocation.
    pub key_revoked: Revoked,
}

impl ControlOperation for RevokeByHolder {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "oauth/revoke",
        body: BodyKind::Form,
        takes_query: false,
        access: Access::KeyHolder,
        writes: true,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::EveryHost;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let token = oauth::token(input.head, input.body)?;
        Ok(Self { key: SubmittedKey::recognise(input.config, bare(&token)).ok() })
    }

    fn submitted_key(&self) -> Option<&SubmittedKey> {
        self.key.as_ref()
    }

    fn authorise(request: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        request.map_or_else(|| Err(unauthenticated("nobody holds a key that is not named")), |_| Ok(()))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let Actor::Holder(id) = by.actor else { return Err(Rejection::Forbidden.into()) };
        let key_revoked = revoke(store, by, id, REASON)?.key_revoked;
        Ok(Outcome { key_revoked })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        // Unknown, malformed, already revoked and just revoked tokens get the same response (RFC 7009, section 2.2).
        match outcome {
            Ok(_) | Err(Failure::Problem(_)) => Ok(Answer::Reply(Reply::empty(input.request_id))),
            Err(failure) => Err(failure),
        }
    }
}

/// Returns the key in a text copied from a file or header: without surrounding white space, quotes and `Bearer `. No key begins or ends
/// with any of these, so no text becomes another key.
fn bare(text: &str) -> &str {
    let around = |letter: char| {
        letter.is_whitespace()
            || letter.is_control()
            || matches!(letter, '"' | '\'' | '`' | '\u{feff}' | '\u{200b}' | '\u{2018}'..='\u{201f}')
    };
    let text = text.trim_matches(around);
    let key = match text.split_at_checked(6) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") && rest.starts_with(around) => rest,
        _ => text,
    };
    key.trim_start_matches(around)
}

const OPEN_API: &str = r##"{
  "operationId": "revokeToken",
  "tags": ["OAuth"],
  "summary": "Revokes a key as its holder (RFC 7009)",
  "description": "The key itself authenticates the request; any other credential is ignored. White space, quotes and `Bearer ` around the key are ignored. Unknown, malformed, already revoked and just revoked keys get the same response.",
  "security": [],
  "requestBody": {
    "required": true,
    "content": {
      "application/x-www-form-urlencoded": {
        "schema": {
          "$ref": "#/components/schemas/TokenForm"
        }
      }
    }
  },
  "responses": {
    "200": {
      "description": "The token is not or no longer valid. The body is empty",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    },
    "400": {
      "description": "The form is invalid: `invalid_request`. If the URL is invalid, the body is a problem",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/json": {
          "schema": {
            "$ref": "#/components/schemas/OAuthError",
            "properties": {
              "error": {
                "const": "invalid_request"
              }
            }
          }
        },
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "bad_path",
                  "key_in_url",
                  "unexpected_body"
                ]
              }
            }
          }
        }
      }
    },
    "403": {
      "description": "The request came from a page of another site or over plain HTTP: `cross_site`, `insecure_transport`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "cross_site",
                  "insecure_transport"
                ]
              }
            }
          }
        }
      }
    },
    "413": {"$ref": "#/components/responses/TooLarge"},
    "429": {
      "description": "Too many revocations from this address: `rate_limited`. Only well-formed keys of this deployment count",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Retry-After": {"$ref": "#/components/headers/RetryAfter"}
      },
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "rate_limited"
                ]
              }
            }
          }
        }
      }
    },
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn what_files_and_headers_put_around_a_key_is_ignored() {
        for text in [
            "wafl_k",
            " wafl_k",
            "wafl_k\n",
            "wafl_k\r\n",
            "\u{feff}wafl_k",
            "\"wafl_k\"",
            "'wafl_k'",
            "“wafl_k”",
            "Bearer wafl_k",
            "bEARER\t wafl_k\r\n",
            "\"Bearer wafl_k\"\n",
            "Bearer \"wafl_k\"",
        ] {
            assert_eq!(bare(text), "wafl_k", "{text:?}");
        }
        for text in ["", "Bearer", "Bearerwafl_k", "Basic wafl_k", "wafl _k", "Bearer Bearer wafl_k", "éééwafl_k"] {
            assert_ne!(bare(text), "wafl_k", "{text:?}");
        }
    }
}
