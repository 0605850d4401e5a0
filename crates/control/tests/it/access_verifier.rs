//! Verification of JWTs of Cloudflare Access, above a platform that counts what it is asked for.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config::AccessSettings;
use keyward_control::AccessFailure;
use keyward_control::access_verifier::{AccessPlatform, verify};
use keyward_control::certs::{Certs, PublicKey};
use keyward_key::time::Millis;
use keyward_testkit::gate_world::NOW;
use serde_json::json;

struct Platform {
    now: Cell<Millis>,
    /// Answer of the team's address.
    published: RefCell<Result<String, String>>,
    fetches: Cell<u32>,
    is_signed: Cell<bool>,
}

impl AccessPlatform for Platform {
    fn now(&self) -> Millis {
        self.now.get()
    }

    async fn pause(&self, milliseconds: u32) {
        self.now.set(Millis(self.now.get().0 + i64::from(milliseconds)));
    }

    async fn fetch_text(&self, url: &str, _: u32, _: u32) -> Result<String, String> {
        assert_eq!(url, "https://acme.cloudflareaccess.com/cdn-cgi/access/certs");
        self.fetches.set(self.fetches.get() + 1);
        self.published.borrow().clone()
    }

    async fn verify_rs256(&self, _: &PublicKey, signature: &[u8], signed: &str) -> bool {
        assert_eq!((signature.len(), signed.matches('.').count()), (256, 1));
        self.is_signed.get()
    }
}

fn platform() -> Platform {
    let modulus = URL_SAFE_NO_PAD.encode([9; 256]);
    let keys = json!({"keys": [{"kid": "k1", "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": modulus}]});
    Platform {
        now: Cell::new(NOW),
        published: RefCell::new(Ok(keys.to_string())),
        fetches: Cell::new(0),
        is_signed: Cell::new(true),
    }
}

fn token(kid: &str) -> String {
    let seconds = NOW.0 / 1_000;
    let claims = json!({
        "iss": "https://acme.cloudflareaccess.com", "aud": ["4714c135"], "exp": seconds + 600, "nbf": seconds - 1,
        "email": "ada@acme.example",
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "RS256", "kid": kid});
    format!("{}.{}.{}", part(&header), part(&claims), URL_SAFE_NO_PAD.encode([1; 256]))
}

fn check(platform: &Platform, certs: &RefCell<Certs>, token: &str) -> Result<String, AccessFailure> {
    let team_domain = "https://acme.cloudflareaccess.com".to_owned();
    let settings = AccessSettings { team_domain, audience: "4714c135".to_owned() };
    let mut checked = pin!(verify(platform, certs, &settings, token));
    match checked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("this platform never waits"),
    }
}

#[test]
fn one_fetch_serves_every_assertion_of_a_known_key() {
    let (platform, certs) = (platform(), RefCell::default());
    for _ in 0..3 {
        assert_eq!(check(&platform, &certs, &token("k1")), Ok("ada@acme.example".to_owned()));
    }
    assert_eq!(platform.fetches.get(), 1);
}

#[test]
fn an_invalid_signature_is_refused_and_causes_no_fetch() {
    let (platform, certs) = (platform(), RefCell::default());
    platform.is_signed.set(false);
    assert_eq!(check(&platform, &certs, &token("k1")), Err(AccessFailure::Refused("Signature".to_owned())));
    assert_eq!(check(&platform, &certs, &token("k1")), Err(AccessFailure::Refused("Signature".to_owned())));
    assert_eq!(platform.fetches.get(), 1);
    assert_eq!(check(&platform, &certs, "a.b.c"), Err(AccessFailure::Refused("Form".to_owned())));
    assert_eq!(platform.fetches.get(), 1);
}

#[test]
fn unknown_key_ids_cause_one_fetch_a_minute() {
    let (platform, certs) = (platform(), RefCell::default());
    for number in 0..5 {
        let refused = check(&platform, &certs, &token(&format!("unknown-{number}")));
        assert_eq!(refused, Err(AccessFailure::Refused("UnknownKey".to_owned())));
    }
    assert_eq!(platform.fetches.get(), 1);
}

#[test]
fn keys_that_cannot_be_fetched_are_no_refusal_of_the_assertion() {
    for answer in [Err("timeout".to_owned()), Ok("<html>".to_owned())] {
        let (platform, certs) = (platform(), RefCell::default());
        let cause = answer.as_ref().err().cloned().unwrap_or_else(|| "no key set".to_owned());
        *platform.published.borrow_mut() = answer;
        assert_eq!(check(&platform, &certs, &token("k1")), Err(AccessFailure::Unavailable(cause)));
        // A moment later there is no new attempt.
        assert!(matches!(check(&platform, &certs, &token("k1")), Err(AccessFailure::Unavailable(_))));
        assert_eq!(platform.fetches.get(), 1);
    }
}

#[test]
fn a_request_waits_for_the_fetch_of_another_one_and_gives_up_when_that_is_abandoned() {
    let (platform, certs) = (platform(), RefCell::new(Certs::default()));
    // Another request has begun to fetch, and the runtime has cancelled it.
    let _ = certs.borrow_mut().next("k1", NOW);
    let checked = check(&platform, &certs, &token("k1"));
    assert!(matches!(checked, Err(AccessFailure::Unavailable(_))), "{checked:?}");
    assert_eq!(platform.fetches.get(), 0);
    assert!(platform.now.get().since(NOW) >= 4_000, "it waited as long as a fetch may take");
}
