//! `GET /_keyward/health`: whether this worker runs and is configured, and nothing else.

use serde::Serialize;

use keyward_http::problem::Problem;
use keyward_http::reply::Reply;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// 200, or 503 while the configuration is bad.
#[must_use]
pub fn health(configured: bool, request_id: &str) -> Reply {
    if configured {
        Reply::json(200, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") }, request_id)
    } else {
        Reply::problem(&Problem::unhealthy(), request_id)
    }
}
