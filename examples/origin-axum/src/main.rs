//! An origin that trusts only `Keyward-Assertion`, which it verifies with the gate's public keys.
//!
//! ```sh
//! KEYWARD_ISSUER=https://api.example.com/_keyward AUDIENCE=https://origin.example.com PORT=8080 cargo run --release
//! ```
//!
//! Set `KEYWARD_JWKS` to the URL of the keys if they are not below the issuer's URL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// TTL of the published keys, as in their `Cache-Control`. Also the minimum interval between fetches for an unknown key id, so that
/// forged assertions cannot cause endless fetches.
const FRESH: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(10);

/// The gate that this origin trusts.
struct Gate {
    issuer: String,
    /// URL of its public keys. A setting, never taken from an assertion: a client that could choose it could sign assertions.
    jwks: String,
    /// This origin's own scheme and host, as in `ORIGIN_LIVE`.
    audience: String,
    http: reqwest::Client,
    keys: Mutex<Option<(JwkSet, Instant)>>,
}

impl Gate {
    /// Returns the key with this id, fetched from the issuer if unknown. `None` if there is no such key.
    async fn key(&self, kid: &str) -> Result<Option<DecodingKey>, Refused> {
        let mut keys = self.keys.lock().await;
        let found = keys.as_ref().map(|(set, at)| (set.find(kid).cloned(), at.elapsed()));
        let jwk = match found {
            Some((Some(jwk), age)) if age < FRESH => Some(jwk),
            Some((None, age)) if age < PAUSE => None,
            _ => {
                let asked = self.http.get(&self.jwks).send().await.and_then(|answer| answer.error_for_status());
                let set: JwkSet = match asked {
                    Ok(answer) => answer.json().await.map_err(|_| UNAVAILABLE)?,
                    Err(_) => return Err(UNAVAILABLE),
                };
                let jwk = set.find(kid).cloned();
                *keys = Some((set, Instant::now()));
                jwk
            }
        };
        jwk.map(|jwk| DecodingKey::from_jwk(&jwk)).transpose().map_err(|_| UNAUTHENTICATED)
    }

    async fn check(&self, parts: &Parts) -> Result<Caller, Refused> {
        let mut sent = parts.headers.get_all("keyward-assertion").iter();
        let (Some(token), None) = (sent.next(), sent.next()) else { return Err(UNAUTHENTICATED) };
        let token = token.to_str().map_err(|_| UNAUTHENTICATED)?;
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or(UNAUTHENTICATED)?;
        let key = self.key(&kid).await?.ok_or(UNAUTHENTICATED)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // Tolerates clock skew between the machines.
        validation.leeway = 5;
        let caller = decode::<Caller>(token, &key, &validation).map_err(|_| UNAUTHENTICATED)?.claims;
        // On a route with `assertion = "request"`, and behind forward auth, the assertion is bound to this one request.
        let url = format!("{}{}", self.audience, parts.uri.path());
        let bound = caller.htm.as_deref().is_none_or(|method| method == parts.method.as_str())
            && caller.htu.as_deref().is_none_or(|bound| bound == url);
        if bound { Ok(caller) } else { Err(UNAUTHENTICATED) }
    }
}

type Refused = (StatusCode, &'static str);
const UNAUTHENTICATED: Refused = (StatusCode::UNAUTHORIZED, "no assertion that is good here\n");
const UNAVAILABLE: Refused = (StatusCode::SERVICE_UNAVAILABLE, "the gate's keys can't be had\n");

/// The caller of a request. A handler with this argument is reached only with a valid assertion.
#[derive(Deserialize, Serialize)]
struct Caller {
    sub: String,
    integration: String,
    env: String,
    scope: String,
    #[serde(default, skip_serializing)]
    htm: Option<String>,
    #[serde(default, skip_serializing)]
    htu: Option<String>,
}

impl Caller {
    fn needs(&self, scope: &str) -> Result<(), Refused> {
        let has = self.scope.split(' ').any(|one| one == scope);
        has.then_some(()).ok_or((StatusCode::FORBIDDEN, "the key lacks the scope\n"))
    }
}

impl FromRequestParts<Arc<Gate>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Refused> {
        gate.check(parts).await
    }
}

async fn contacts(caller: Caller) -> Result<Json<Caller>, Refused> {
    caller.needs("contacts:read")?;
    Ok(Json(caller))
}

async fn contact(Path(_id): Path<String>, caller: Caller) -> Result<Json<Caller>, Refused> {
    caller.needs("contacts:read")?;
    Ok(Json(caller))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let issuer = setting("KEYWARD_ISSUER")?;
    let gate = Arc::new(Gate {
        jwks: setting("KEYWARD_JWKS").unwrap_or_else(|_| format!("{issuer}/jwks.json")),
        issuer,
        audience: setting("AUDIENCE")?,
        http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?,
        keys: Mutex::new(None),
    });
    let app =
        Router::new().route("/v1/contacts", get(contacts)).route("/v1/contacts/{id}", get(contact)).with_state(gate);
    let port: u16 = setting("PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
