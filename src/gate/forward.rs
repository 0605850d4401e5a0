//! The right to forward a request, and the plan of doing so.

use std::sync::Arc;

use crate::config::Origin;
use crate::http::credential::Strip;
use crate::http::head::Head;
use crate::http::headers::{write_client_address, write_line, write_removed};

/// That a request may go to its origin, and as whom. Only the gate makes one, after every check; forwarding takes one by
/// value. So to forward an unverified request does not compile.
///
/// ```compile_fail
/// let grant = keyward::gate::Grant { origin: keyward::config::Origin::Route, strip: Default::default(), identity: None, retires: None };
/// ```
pub struct Grant {
    origin: Origin,
    strip: Strip,
    identity: Option<Arc<str>>,
    retires: Option<Arc<str>>,
}

/// What changes on the way to the origin, as the glue reads it. Method, body and every other header are the request's own.
///
/// ```text
/// <URL> LF <names of headers to remove, a comma after each> LF (<name> LF <value> LF)*
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The text above. The URL is the origin's scheme and host, with path and query as sent.
    pub edits: String,
    /// Whether the answer is for this key's holder only, and must not be kept in any shared cache.
    pub private: bool,
    /// For a retiring key, the value of `Keyward-Key-Expires` in the answer: RFC 3339.
    pub key_expires: Option<Arc<str>>,
}

impl Grant {
    pub(super) const fn public(origin: Origin, strip: Strip) -> Self {
        Self { origin, strip, identity: None, retires: None }
    }

    pub(super) const fn as_key(origin: Origin, strip: Strip, identity: Arc<str>, retires: Option<Arc<str>>) -> Self {
        Self { origin, strip, identity: Some(identity), retires }
    }

    /// The plan for the request that the grant was made for.
    #[must_use]
    pub fn plan(self, head: &Head<'_>, request_id: &str) -> Plan {
        let base = match &self.origin {
            Origin::Route => head.base(),
            Origin::Base(base) => base,
        };
        let mut edits = String::with_capacity(512);
        edits.push_str(base);
        edits.push_str(head.target().as_sent());
        edits.push('\n');
        write_removed(head, self.strip, &mut edits);
        edits.push('\n');
        write_client_address(head, &mut edits);
        if let Some(identity) = &self.identity {
            edits.push_str(identity);
        }
        write_line(&mut edits, "keyward-request-id", request_id);
        Plan { edits, private: self.identity.is_some(), key_expires: self.retires }
    }
}
