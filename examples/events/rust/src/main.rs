//! A receiver of Keyward's events: verifies the Ed25519 signature (`v1a`), and handles each event once.
//!
//! ```sh
//! KEYWARD_JWKS=https://keys.example.com/_keyward/jwks.json PORT=9000 cargo run --release
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use tokio::sync::OnceCell;

const TOLERANCE_SECONDS: u64 = 300;
const MAX_BODY_BYTES: usize = 65_536;
/// Number of events whose ids are remembered.
const REMEMBERED: usize = 10_000;
/// Time for which fetched keys are used.
const KEYS_FOR: Duration = Duration::from_secs(300);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: serde_json::Value,
}

/// Handles an event. Replace this by what your events are for. After an error Keyward sends the event again.
async fn handle(event: Event) -> Result<(), Failure> {
    let subject = ["key_id", "member_id", "endpoint"].iter().find_map(|name| event.data.get(name)?.as_str());
    println!("{} {}", event.kind, subject.unwrap_or_default());
    Ok(())
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    x: String,
}

impl Jwk {
    fn verifying_key(&self) -> Option<VerifyingKey> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.x).ok()?;
        VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
    }
}

/// The deployment's public keys.
struct KeySet {
    url: String,
    http: reqwest::Client,
    fetched: tokio::sync::Mutex<Option<(Vec<VerifyingKey>, Instant)>>,
}

impl KeySet {
    /// Returns the keys, fetched at most every five minutes.
    async fn get(&self) -> Result<Vec<VerifyingKey>, Failure> {
        let mut fetched = self.fetched.lock().await;
        if let Some((keys, at)) = fetched.as_ref()
            && at.elapsed() < KEYS_FOR
        {
            return Ok(keys.clone());
        }
        let set: JwkSet = self.http.get(&self.url).send().await?.error_for_status()?.json().await?;
        let keys: Vec<VerifyingKey> = set.keys.iter().filter_map(Jwk::verifying_key).collect();
        *fetched = Some((keys.clone(), Instant::now()));
        Ok(keys)
    }
}

/// Returns whether one of the signatures is by one of the keys, and made within five minutes.
fn is_genuine(headers: &HeaderMap, body: &[u8], keys: &[VerifyingKey]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(time), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    if !time.parse::<u64>().is_ok_and(|time| time.abs_diff(now) <= TOLERANCE_SECONDS) {
        return false;
    }
    // The bytes as they arrived: a body that was parsed and written again has another signature.
    let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
    signatures
        .split(' ')
        .filter_map(|one| STANDARD.decode(one.strip_prefix("v1a,")?).ok())
        .filter_map(|bytes| Signature::from_slice(&bytes).ok())
        .any(|signature| keys.iter().any(|key| key.verify_strict(&signed, &signature).is_ok()))
}

/// Events by id, each with a cell that is set once the event was handled.
#[derive(Default)]
struct Handled {
    cells: HashMap<String, Arc<OnceCell<()>>>,
    order: VecDeque<String>,
}

impl Handled {
    fn cell(&mut self, id: &str) -> Arc<OnceCell<()>> {
        if let Some(cell) = self.cells.get(id) {
            return Arc::clone(cell);
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.cells.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        Arc::clone(self.cells.entry(id.to_owned()).or_default())
    }
}

struct Receiver {
    keys: KeySet,
    handled: Mutex<Handled>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    match receiver.take(&headers, &body).await {
        Ok(status) => status,
        Err(failure) => {
            // Keyward tries again later.
            eprintln!("{failure}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

impl Receiver {
    async fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<StatusCode, Failure> {
        if !is_genuine(headers, body, &self.keys.get().await?) {
            return Ok(StatusCode::UNAUTHORIZED);
        }
        let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
            return Ok(StatusCode::UNAUTHORIZED);
        };
        let cell = self.handled.lock().map_err(|_| "another request panicked")?.cell(id);
        // A retry that arrives while the first attempt is still running waits for it, and runs if it failed.
        cell.get_or_try_init(|| async { handle(serde_json::from_slice(body)?).await }).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let keys = KeySet {
        url: setting("KEYWARD_JWKS")?,
        http: reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()?,
        fetched: tokio::sync::Mutex::default(),
    };
    let receiver = Arc::new(Receiver { keys, handled: Mutex::default() });
    let app = Router::new().fallback(post(receive)).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(receiver);
    let port: u16 = setting("PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
