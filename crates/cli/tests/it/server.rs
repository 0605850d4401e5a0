//! A server on loopback that answers as a test says, and records what came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value as Json, json};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Json) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
    }

    pub fn problem(status: u16, code: &str, detail: &str) -> Self {
        let body = json!({"type": format!("/_keyward/problems/{code}"), "title": "Problem title", "status": status,
            "detail": detail, "code": code, "request_id": "req-0000000000000001"});
        Self { status, headers: vec![("content-type", "application/problem+json".to_owned())], body: body.to_string() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub struct Server {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Starts a server. Its thread ends with the test process.
    pub fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&received);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    record.lock().unwrap().push(request.clone());
                    write(stream, &answer(&request));
                });
            }
        });
        Self { url, received }
    }

    /// Returns what came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Returns method and path of what came so far.
    pub fn lines(&self) -> Vec<String> {
        self.received().iter().map(Received::line).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body: String::from_utf8(body).unwrap() })
}

fn write(mut stream: TcpStream, reply: &Reply) {
    let headers: String = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        reply.status,
        reply.body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(reply.body.as_bytes()));
}

/// A time `days` from now and an hour, as the API writes it.
pub fn in_days(days: i64) -> String {
    keyward_cli::time::now().plus_seconds(days * 86_400 + 3_600).rfc3339()
}

/// A key, as the API shows it.
pub fn key(id: &str, name: &str) -> Json {
    json!({"id": id, "name": name, "integration": name.to_lowercase().replace(' ', "-"), "environment": "live",
        "purpose": "Nightly contact sync", "owner": "ops@acme.example", "scopes": ["contacts:read"], "allowed_cidrs": [],
        "limits": [], "status": "active", "created_at": in_days(-3), "created_by": "wafl_admin_Owner0000001",
        "expires_at": in_days(90), "rotated_from": null, "successor": null, "revoked_at": null, "revoked_by": null,
        "revoke_reason": null, "last_used_at": null, "exposed_at": null, "revision": 17})
}

/// The times of a change.
pub fn changed(key: &Json) -> Json {
    json!({"key": key, "effective_by": in_days(0), "guaranteed_by": in_days(0)})
}
