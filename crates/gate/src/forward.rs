//! The right to forward a request, and the plan of doing so.

use std::sync::Arc;

use super::assertion::{Assertion, Assertions, NAME};
use super::{Refusal, Step};
use keyward_config::Origin;
use keyward_http::credential::CredentialHeaders;
use keyward_http::head::Head;
use keyward_http::headers::{write_client_address, write_line, write_removed};
use keyward_http::problem::{AUTHORITY, Code, KEY_EXPIRES, unreachable};
use keyward_http::reply::Reply;
use keyward_key::assertion::AssertionKey;
use keyward_key::id::{Environment, KeyId};

/// That a request may go to its origin, and as whom. Only the gate makes one, after every check; forwarding takes one by
/// value. So to forward an unverified request does not compile, nor one whose assertion is still [`Unsigned`].
///
/// ```compile_fail
/// let grant = keyward_gate::Grant { origin: keyward_config::Origin::Route, strip: Default::default(), identity: None, retires: None, unreachable: None, assertion: None };
/// ```
pub struct Grant {
    origin: Origin,
    strip: CredentialHeaders,
    identity: Option<Arc<str>>,
    retires: Option<Arc<str>>,
    unreachable: Option<i64>,
    assertion: Option<Assertion>,
}

/// What changes on the way to the origin, as the glue reads it. Method, body and every other header are the request's own.
///
/// ```text
/// <URL> LF <names of headers to remove, a comma after each> LF (<name> LF <value> LF)*
/// ```
///
/// Only [`Grant::plan`] makes one: a plan is as good a proof as the grant.
///
/// ```compile_fail
/// let plan = keyward_gate::Plan { edits: String::new(), private: false, answer: None };
/// ```
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The text above. The URL is the origin's scheme and host, with path and query as sent.
    pub edits: String,
    /// Whether the answer is for this key's holder only, and must not be kept in any shared cache.
    pub private: bool,
    /// Headers that the answer gets, `<name> LF <value> LF` for each; mostly none. `Keyward-Key-Expires` of a retiring key,
    /// `Keyward-Authority` during an outage.
    pub answer: Option<String>,
}

impl Grant {
    pub(super) const fn public(origin: Origin, strip: CredentialHeaders) -> Self {
        Self { origin, strip, identity: None, retires: None, unreachable: None, assertion: None }
    }

    pub(super) fn as_key(
        origin: Origin,
        strip: CredentialHeaders,
        identity: Arc<str>,
        retires: Option<Arc<str>>,
        unreachable: Option<i64>,
        assertion: Assertion,
    ) -> Step {
        let signed = assertion.is_signed();
        let grant = Self { origin, strip, identity: Some(identity), retires, unreachable, assertion: Some(assertion) };
        if signed { Step::Forward(grant) } else { Step::Sign(Unsigned(grant)) }
    }

    /// Whether it was given to a key; otherwise the route is public.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether the authority is silent, and it was judged by what is older than the bound.
    #[must_use]
    pub const fn is_in_outage(&self) -> bool {
        self.unreachable.is_some()
    }

    /// What the answer must say beside the origin's own words.
    fn answer(&self) -> Option<String> {
        let mut block = String::new();
        if let Some(expires) = &self.retires {
            write_line(&mut block, KEY_EXPIRES, expires);
        }
        if let Some(age) = self.unreachable {
            write_line(&mut block, AUTHORITY, &unreachable(age));
        }
        (!block.is_empty()).then_some(block)
    }

    /// The plan for the request that the grant was made for.
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
        write_removed(head, self.strip, &mut edits);
        edits.push('\n');
        write_client_address(head, &mut edits);
        if let Some(identity) = &self.identity {
            edits.push_str(identity);
        }
        if let Some(assertion) = &self.assertion {
            assertion.write(&mut edits);
        }
        // The glue reads the request's id from the last line.
        write_line(&mut edits, "keyward-request-id", request_id);
        Plan { edits, private: self.is_keyed(), answer: self.answer() }
    }

    /// One of the identity headers; `None` on a public route.
    fn says(&self, name: &str) -> Option<&str> {
        let identity = self.assertion.as_ref()?.identity()?;
        identity.into_iter().find(|(known, _)| *known == name).map(|(_, word)| word)
    }

    /// The environment of the key; `None` on a public route.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        self.says("keyward-environment").and_then(Environment::parse)
    }

    fn key_id(&self) -> Option<KeyId> {
        self.says("keyward-key-id").and_then(KeyId::parse)
    }

    /// The assertion of this request alone, where the route has asked for one.
    #[must_use]
    pub fn own_assertion(&self) -> Option<&str> {
        self.assertion.as_ref()?.own_jwt()
    }

    /// What is to be signed for an assertion of this request alone. `None` on a public route.
    #[must_use]
    pub fn own_text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        self.assertion.as_ref()?.own_text(key, head, request_id)
    }

    /// The answer that lets a request through where another gateway forwards it (forward auth): 200, no body, and the headers
    /// that the gateway is to set. The assertion is the request's own, always: it passes through more hands than one, and what
    /// one of them could keep is good for nothing but what was allowed. Without it nothing that needs a key is let through.
    #[must_use]
    pub fn tell_gateway(self, own_assertion: Option<String>, request_id: &str) -> Reply {
        if self.is_keyed() && own_assertion.is_none() {
            return Reply::problem(&Code::InternalError.into(), request_id);
        }
        let mut reply = Reply::empty(request_id);
        if let Some(assertion) = &self.assertion {
            let identity = assertion.identity().into_iter().flatten();
            reply.headers.extend(identity.map(|(name, value)| (name, value.to_owned())));
            reply.headers.extend(own_assertion.map(|jwt| (NAME, jwt)));
        }
        reply.headers.extend(self.retires.iter().map(|expires| (KEY_EXPIRES, expires.as_ref().to_owned())));
        reply.headers.extend(self.unreachable.map(|age| (AUTHORITY, unreachable(age))));
        reply
    }
}

/// A grant whose assertion is still to be signed.
pub struct Unsigned(Grant);

impl Unsigned {
    /// What the request may do once it is signed.
    pub(super) const fn grant(&self) -> &Grant {
        &self.0
    }

    /// What is to be signed, for the request that the grant was made for. `None` if the record has not its form, which ours
    /// always has.
    #[must_use]
    pub fn text(&self, key: &AssertionKey, head: &Head<'_>, request_id: &str) -> Option<String> {
        self.0.assertion.as_ref()?.text(key, head, request_id)
    }

    /// Why it can't be signed, as the refusal of this key.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> Refusal {
        let grant = &self.0;
        let refusal = match grant.key_id() {
            Some(id) => refusal.about(id),
            None => refusal,
        };
        refusal.by_retiring_key(grant.retires.as_deref()).during_outage(grant.unreachable)
    }

    pub(super) fn signed(mut self, jwt: Arc<str>, assertions: &mut Assertions) -> Grant {
        self.0.assertion = self.0.assertion.map(|assertion| assertion.signed(jwt, assertions));
        self.0
    }
}
