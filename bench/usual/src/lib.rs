//! A conventional gate with the `worker` crate: bearer auth, SHA-256 of the key, a KV record cached for 30 s in memory, expiry,
//! scope per route, credential removed, identity headers, forward. For comparison with Keyward; it does much less.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use worker::{Context, Date, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, Result, event};

#[derive(Clone, Deserialize)]
struct Record {
    id: String,
    integration: String,
    environment: String,
    scopes: Vec<String>,
    expires_at: u64,
}

const KEPT_MILLIS: u64 = 30_000;

thread_local! {
    static MEMORY: RefCell<HashMap<String, (Record, u64)>> = RefCell::default();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let url = request.url()?;
    let Some(scope) = scope_of(&request.method(), url.path()) else {
        return Response::error("no such route", 404);
    };
    let Some(key) = request.headers().get("authorization")?.and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned))
    else {
        return Response::error("missing key", 401);
    };
    let Some(record) = find(&key, &env).await? else {
        return Response::error("invalid key", 401);
    };
    if record.expires_at <= Date::now().as_millis() {
        return Response::error("expired key", 401);
    }
    if !record.scopes.contains(&scope) {
        return Response::error("insufficient scope", 403);
    }
    let headers = Headers::new();
    for (name, value) in request.headers() {
        if name != "authorization" && !name.starts_with("keyward-") {
            headers.append(&name, &value)?;
        }
    }
    headers.set("keyward-key-id", &record.id)?;
    headers.set("keyward-integration", &record.integration)?;
    headers.set("keyward-environment", &record.environment)?;
    headers.set("keyward-scopes", &record.scopes.join(" "))?;
    headers.set("keyward-request-id", &request_id())?;
    let mut init = RequestInit::new();
    init.with_method(request.method()).with_headers(headers).with_redirect(RequestRedirect::Manual);
    if !matches!(request.method(), Method::Get | Method::Head) {
        init.with_body(request.inner().body().map(Into::into));
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{}{query}", env.var("ORIGIN")?, url.path());
    Fetch::Request(Request::new_with_init(&target, &init)?).send().await
}

fn scope_of(method: &Method, path: &str) -> Option<String> {
    let resource = path.strip_prefix("/v1/")?.split('/').next()?;
    if !["events", "contacts", "conversations", "integrations", "automations"].contains(&resource) {
        return None;
    }
    match method {
        Method::Get | Method::Head => Some(format!("{resource}:read")),
        Method::Post | Method::Put | Method::Patch | Method::Delete => Some(format!("{resource}:write")),
        _ => None,
    }
}

async fn find(key: &str, env: &Env) -> Result<Option<Record>> {
    let hash = hex::encode(Sha256::digest(key.as_bytes()));
    let now = Date::now().as_millis();
    let kept = MEMORY.with_borrow(|memory| memory.get(&hash).filter(|(_, until)| *until > now).map(|(record, _)| record.clone()));
    if kept.is_some() {
        return Ok(kept);
    }
    let record: Option<Record> = env.kv("KEYS")?.get(&hash).json().await?;
    if let Some(record) = &record {
        MEMORY.with_borrow_mut(|memory| memory.insert(hash, (record.clone(), now + KEPT_MILLIS)));
    }
    Ok(record)
}

fn request_id() -> String {
    let mut bytes = [0_u8; 12];
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}
