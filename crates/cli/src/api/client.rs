//! Requests to the control plane, with timeouts and retries.

use std::io::Read;
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;
use ureq::http;
use zeroize::Zeroizing;

use super::address::Address;
use super::problem::to_failure;
use crate::failure::{Exit, Failure};
use crate::interrupt;
use crate::secret::Secret;

/// Maximum time until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time of a request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of an answer, in bytes. Pages end at about 1 MB.
const ANSWER_BYTES: u64 = 16 << 20;
/// Pauses before the retries.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Longest pause that a server may ask for and that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A request.
#[derive(Default)]
pub struct Request<'a> {
    /// Method; GET if empty.
    pub method: &'a str,
    /// Path with its query.
    pub path: &'a str,
    /// JSON body.
    pub json: Option<&'a Json>,
    /// Form body.
    pub form: Option<Zeroizing<String>>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the request may be sent again when its outcome is unknown.
    pub repeatable: bool,
}

impl<'a> Request<'a> {
    /// Creates a read.
    #[must_use]
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, repeatable: true, ..Self::default() }
    }

    /// Creates a change that is harmless to repeat.
    #[must_use]
    pub fn change(method: &'a str, path: &'a str, json: Option<&'a Json>) -> Self {
        Self { method, path, json, repeatable: true, ..Self::default() }
    }

    /// Creates a write that makes a credential: repeated with the same `Idempotency-Key` it gets the same answer.
    #[must_use]
    pub fn create(path: &'a str, json: &'a Json) -> Self {
        Self::change("POST", path, Some(json)).header("idempotency-key", random_text())
    }

    /// Creates a write that is sent once: a second one would make a second object, or take back what the first one made.
    #[must_use]
    pub fn once(method: &'a str, path: &'a str, json: Option<&'a Json>) -> Self {
        Self { repeatable: false, ..Self::change(method, path, json) }
    }

    /// Creates a deletion. If its answer is lost, it is repeated, and then finds nothing to delete.
    #[must_use]
    pub fn delete(path: &'a str) -> Self {
        Self::change("DELETE", path, None)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Returns 32 random hexadecimal characters.
#[must_use]
pub fn random_text() -> String {
    let mut bytes = [0; 16];
    // Without entropy the text is constant, and the server refuses it for another body (422).
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

/// A successful answer.
pub struct Answer {
    /// Body. It may contain a key.
    pub body: Zeroizing<Vec<u8>>,
    /// Revision of the object, in quotes.
    pub etag: Option<String>,
}

impl Answer {
    /// Parses the body.
    ///
    /// # Errors
    /// [`Failure`] if it has another form.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // The error names a place, never a value: a body may contain a key.
            Failure::failed(format!(
                "The answer has an unknown form at line {}, column {}.",
                error.line(),
                error.column()
            ))
            .next("Check the address: is it the control plane? If it is, update this program.")
        })
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// [`Failure`] as of [`Self::parse`].
    pub fn json(&self) -> Result<Json, Failure> {
        self.parse()
    }
}

/// A connection to one deployment.
pub struct Client {
    agent: ureq::Agent,
    address: Address,
    credential: Option<Secret>,
}

enum Attempt {
    Done(Answer),
    /// May succeed later: the failure, and the pause that the server asks for.
    Retry(Failure, Option<Duration>),
    Failed(Failure),
}

impl Client {
    /// Creates a client. Nothing is sent yet.
    #[must_use]
    pub fn new(address: Address, credential: Option<Secret>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A credential goes to the address that the user gave and nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), address, credential }
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and returns its answer.
    ///
    /// # Errors
    /// [`Failure`] with the API's problem, or if the deployment can't be reached.
    pub fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let mut pauses = RETRY_PAUSES.iter();
        let mut is_repeated = false;
        loop {
            let (failure, asked) = match self.attempt(request) {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Failed(failure) if is_repeated && request.method == "DELETE" && failure.is("not_found") => {
                    // An attempt before has deleted it.
                    return Ok(Answer { body: Zeroizing::new(Vec::new()), etag: None });
                }
                Attempt::Failed(failure) => return Err(failure),
                Attempt::Retry(failure, asked) => (failure, asked),
            };
            let Some(pause) = pauses.next().filter(|_| request.repeatable && !interrupt::happened()) else {
                return Err(failure);
            };
            match asked {
                Some(asked) if asked > LONGEST_PAUSE => return Err(failure),
                asked => thread::sleep(asked.unwrap_or(*pause)),
            }
            is_repeated = true;
        }
    }

    /// Sends a read whose answer may be long, and returns its body to be read piece by piece.
    ///
    /// # Errors
    /// [`Failure`] as of [`Self::send`].
    pub fn stream(&self, path: &str, accept: &str) -> Result<impl Read, Failure> {
        let request = Request::get(path).header("accept", accept);
        let config = self.agent.configure_request(self.build(&request)?).timeout_global(None);
        let config = config.timeout_per_read(Some(REQUEST_TIMEOUT)).build();
        let mut response = self.agent.run(config).map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response.into_body().into_reader());
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec().unwrap_or_default();
        Err(to_failure(response.status().as_u16(), &body, &self.address))
    }

    fn build(&self, request: &Request<'_>) -> Result<http::Request<Vec<u8>>, Failure> {
        let method = if request.method.is_empty() { "GET" } else { request.method };
        let mut builder = http::Request::builder().method(method).uri(format!("{}{}", self.address, request.path));
        if let Some(credential) = &self.credential {
            builder = builder.header("authorization", format!("Bearer {}", credential.expose()));
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let body = match (request.json, &request.form) {
            (Some(json), _) => {
                builder = builder.header("content-type", "application/json");
                json.to_string().into_bytes()
            }
            (None, Some(form)) => {
                builder = builder.header("content-type", "application/x-www-form-urlencoded");
                form.as_bytes().to_vec()
            }
            (None, None) => Vec::new(),
        };
        builder.body(body).map_err(|error| Failure::usage(format!("The request can't be built: {error}.")))
    }

    fn attempt(&self, request: &Request<'_>) -> Attempt {
        let built = match self.build(request) {
            Ok(built) => built,
            Err(failure) => return Attempt::Failed(failure),
        };
        let mut response = match self.run(built) {
            Ok(response) => response,
            Err(error) => return Attempt::Retry(self.unreachable(&error), None),
        };
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, location) = (header("etag"), header("location"));
        let retry_after = header("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let body = match response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec() {
            Ok(body) => Zeroizing::new(body),
            Err(error) => return Attempt::Retry(self.unreachable(&error), None),
        };
        if status.is_success() {
            return Attempt::Done(Answer { body, etag });
        }
        if let (true, Some(location)) = (status.is_redirection(), location) {
            return Attempt::Failed(Failure::failed(format!("{} redirects to {location}.", self.address))
                .next("Use the address of the control plane itself. Redirects are not followed, because the credential would follow too."));
        }
        let failure = to_failure(status.as_u16(), &body, &self.address);
        if failure.exit == Exit::Unavailable { Attempt::Retry(failure, retry_after) } else { Attempt::Failed(failure) }
    }

    /// A body without content is not sent, so that no `Content-Length` contradicts an operation without one.
    fn run(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<ureq::Body>, ureq::Error> {
        if request.body().is_empty() && request.method() == http::Method::GET {
            let (parts, _) = request.into_parts();
            return self.agent.run(http::Request::from_parts(parts, ()));
        }
        self.agent.run(request)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let problem = match error {
            ureq::Error::Timeout(_) => "did not answer in time".to_owned(),
            ureq::Error::HostNotFound => "has an unknown host name".to_owned(),
            other => format!("can't be reached: {other}"),
        };
        Failure::new(Exit::Unavailable, format!("{} {problem}.", self.address))
            .next("Check the address and the network, then run the command again.")
    }
}
