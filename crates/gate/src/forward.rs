//! Permission to forward a request, and the plan for forwarding it.

use std::sync::Arc;

use super::assertion::{Assertion, Assertions, HEADER};
use super::identity::Identity;
use super::leases::Receipt;
use super::usage::{KeyUse, RefusedUse};
use super::{Refusal, Step};
use keyward_config::Origin;
use keyward_http::credential::CredentialHeaders;
use keyward_http::head::Head;
use keyward_http::headers::{write_edits, write_line};
use keyward_http::problem::{AUTHORITY, Code, KEY_EXPIRES, unreachable};
use keyward_http::rate_limit::fields_of;
use keyward_http::reply::Reply;
use keyward_key::assertion::AssertionKey;
use keyward_key::id::Environment;
use keyward_protocol::feed::CompactKeyId;

/// Permission to forward one request, and the identity it carries. Only the gate creates a grant, after every check, and forwarding
/// consumes it. So code that forwards an unverified request does not compile, nor code that forwards an [`Unsigned`] one.
///
/// ```compile_fail
/// let grant = keyward_gate::Grant { origin: keyward_config::Origin::Route, strip: Default::default(), key: None, outage_age_ms: None };
/// ```
pub struct Grant {
    origin: Origin,
    strip: CredentialHeaders,
    /// `None` on a public route.
    key: Option<GrantedKey>,
    /// Age of the feed while the authority is unreachable, in milliseconds; otherwise `None`.
    outage_age_ms: Option<i64>,
}

/// The key for which a request was granted.
pub(super) struct GrantedKey {
    /// The identity headers as a block of header lines.
    pub identity_headers: Arc<str>,
    /// Value of `Keyward-Key-Expires` while the key is retiring.
    pub retires_at: Option<Arc<str>>,
    /// The assertion, which also holds the identity.
    pub assertion: Assertion,
    /// Id of the key, and the route's `match`, for the counts of usage.
    pub used: (CompactKeyId, Arc<str>),
    /// The units that it took from the key's limits; `None` for a key without limits.
    pub counted: Option<Receipt>,
}

/// The edits that turn a client's request into the request to the origin, in the form that the glue reads. Method, body and all other
/// headers are unchanged.
///
/// ```text
/// <URL> LF <names of headers to remove, a comma after each> LF (<name> LF <value> LF)*
/// ```
///
/// Only [`Grant::plan`] creates a plan, so a plan proves the same checks as the grant.
///
/// ```compile_fail
/// let plan = keyward_gate::Plan { edits: String::new(), private: false, answer: None };
/// ```
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The text above. The URL is the origin's scheme and host with the path and query as sent.
    pub edits: String,
    /// Whether the response is for this key's holder only and must not enter a shared cache.
    pub private: bool,
    /// Headers to add to the response, `<name> LF <value> LF` for each; usually `None`. `Keyward-Key-Expires` for a retiring key,
    /// `Keyward-Authority` during an outage, `RateLimit` and `RateLimit-Policy` for a key with limits.
    pub answer: Option<Arc<str>>,
}

impl Grant {
    pub(super) const fn public(origin: Origin, strip: CredentialHeaders) -> Self {
        Self { origin, strip, key: None, outage_age_ms: None }
    }

    /// Grants a request to a key. The assertion may be unsigned.
    pub(super) const fn keyed(
        origin: Origin,
        strip: CredentialHeaders,
        key: GrantedKey,
        outage_age_ms: Option<i64>,
    ) -> Step {
        let is_signed = key.assertion.is_signed();
        let grant = Self { origin, strip, key: Some(key), outage_age_ms };
        if is_signed { Step::Forward(grant) } else { Step::Sign(Unsigned(grant)) }
    }

    /// Returns the use of the key, for the counts; `None` on a public route.
    #[must_use]
    pub fn used(&self) -> Option<KeyUse<'_>> {
        let GrantedKey { assertion, used: (id, route), .. } = self.key.as_ref()?;
        let Identity { key_id, integration, .. } = assertion.identity();
        Some(KeyUse { id: *id, key_id, integration: Some(integration), route })
    }

    /// Returns whether the grant belongs to a key; otherwise the route is public.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        self.key.is_some()
    }

    /// Returns whether the authority is unreachable and the decision used a feed older than the bound.
    #[must_use]
    pub const fn is_in_outage(&self) -> bool {
        self.outage_age_ms.is_some()
    }

    fn retires_at(&self) -> Option<&str> {
        self.key.as_ref()?.retires_at.as_deref()
    }

    /// Returns the units that the request took from the key's limits.
    pub(super) fn receipt(&self) -> Option<&Receipt> {
        self.key.as_ref()?.counted.as_ref()
    }

    /// Returns the age in milliseconds of the older of the feed and the lease while one of their objects is unreachable.
    fn unreachable_ms(&self) -> Option<i64> {
        self.outage_age_ms.max(self.receipt().and_then(|receipt| receipt.outage_age_ms))
    }

    fn answer_headers(&self) -> Option<Arc<str>> {
        let limits = self.receipt().map(|receipt| &receipt.headers);
        if self.retires_at().is_none() && self.unreachable_ms().is_none() {
            // The usual case allocates nothing.
            return limits.cloned();
        }
        let mut block = limits.map(|headers| headers.to_string()).unwrap_or_default();
        if let Some(expires) = self.retires_at() {
            write_line(&mut block, KEY_EXPIRES, expires);
        }
        if let Some(age_ms) = self.unreachable_ms() {
            write_line(&mut block, AUTHORITY, &unreachable(age_ms));
        }
        (!block.is_empty()).then(|| block.into())
    }

    /// Returns the plan for the request that the grant was made for.
    #[must_use]
    pub fn plan(self, head: &Head<'_>, request_id: &str) -> Plan {
        let base = match &self.origin {
            Origin::Route => head.base(),
            Origin::Base(base) => base,
        };
        let mut edits = String::with_capacity(1024);
        edits.push_str(base);
        edits.push_str(head.target().as_sent());
        edits.push('\n');
        write_edits(head, self.strip, &mut edits);
        if let Some(key) = &self.key {
            edits.push_str(&key.identity_headers);
            key.assertion.write(&mut edits);
        }
        // The glue reads the request id from the last line.
        write_line(&mut edits, "keyward-request-id", request_id);
        Plan { edits, private: self.is_keyed(), answer: self.answer_headers() }
    }

    /// Returns the environment of the key; `None` on a public route.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        Some(self.key.as_ref()?.assertion.identity().environment)
    }

    /// Returns the assertion for this request only, if the route requires one.
    #[must_use]
    pub fn own_assertion(&self) -> Option<&str> {
        self.key.as_ref()?.assertion.own_jwt()
    }

    /// Returns the text to sign for an assertion of this request only. `None` on a public route.
    #[must_use]
    pub fn own_text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        self.key.as_ref()?.assertion.own_text(key, head, request_id)
    }

    /// Returns the reply that permits a request at another gateway (forward auth): 200 without a body, with the headers for the gateway
    /// to set. The assertion is always for this request only, because several parties see it and none may use it for another request.
    /// Without an assertion, a request that needs a key is not permitted.
    #[must_use]
    pub fn tell_gateway(self, own_assertion: Option<String>, request_id: &str) -> Reply {
        if self.is_keyed() && own_assertion.is_none() {
            return Reply::problem(&Code::InternalError.into(), request_id);
        }
        let mut reply = Reply::empty(request_id);
        if let Some(key) = &self.key {
            let identity = key.assertion.identity().headers();
            reply.headers.extend(identity.map(|(name, value)| (name, value.to_owned())));
            reply.headers.extend(own_assertion.map(|jwt| (HEADER, jwt)));
        }
        reply.headers.extend(self.retires_at().map(|expires| (KEY_EXPIRES, expires.to_owned())));
        reply.headers.extend(self.receipt().into_iter().flat_map(|receipt| fields_of(&receipt.headers)));
        reply.headers.extend(self.unreachable_ms().map(|age_ms| (AUTHORITY, unreachable(age_ms))));
        reply
    }
}

/// A grant whose assertion is still to be signed.
pub struct Unsigned(Grant);

impl Unsigned {
    /// Returns the permission that applies once the request is signed.
    pub(super) const fn grant(&self) -> &Grant {
        &self.0
    }

    /// Returns the text to sign, for the request that the grant was made for. `None` only if the claims cannot be serialized, which does
    /// not happen.
    #[must_use]
    pub fn text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        self.0.key.as_ref()?.assertion.text(key, head, request_id)
    }

    /// Turns a signing failure into a refusal for this key.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> Refusal {
        let grant = &self.0;
        let refusal = match &grant.key {
            Some(GrantedKey { assertion, used: (id, route), .. }) => {
                let used = RefusedUse::new(*id, route, Some(&assertion.identity().integration));
                refusal.about(assertion.identity().key_id.clone()).of_use(used)
            }
            None => refusal,
        };
        refusal.by_retiring_key(grant.retires_at()).during_outage(grant.outage_age_ms)
    }

    pub(super) fn signed(mut self, jwt: Arc<str>, assertions: &mut Assertions) -> Grant {
        self.0.key = self.0.key.map(|key| GrantedKey { assertion: key.assertion.signed(jwt, assertions), ..key });
        self.0
    }
}
