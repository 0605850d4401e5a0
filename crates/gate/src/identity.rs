//! The identity that an accepted request carries to its origin.

use keyward_http::headers::write_line;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::record::Record;
use keyward_key::time::Millis;

/// Header with the id of the key.
const KEY_ID: &str = "keyward-key-id";
/// Header with the integration that the key belongs to.
const INTEGRATION: &str = "keyward-integration";
/// Header with the environment of the key, `live` or `test`.
const ENVIRONMENT: &str = "keyward-environment";
/// Header with the scopes of the key, separated by spaces.
const SCOPES: &str = "keyward-scopes";

/// Identity of a key in the headers and the assertion for the origin. It is built once for each cached record.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub key_id: KeyId,
    pub integration: String,
    pub environment: Environment,
    /// Scopes, separated by spaces.
    pub scopes: String,
    pub key_expires_at: Millis,
}

impl Identity {
    /// Returns the identity of a key's holder; `None` for a member's credential, which the gate does not accept.
    pub fn of(record: &Record) -> Option<Self> {
        let Class::Data(environment) = record.id.class() else { return None };
        let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
        Some(Self {
            key_id: record.id.clone(),
            integration: record.integration.clone(),
            environment,
            scopes: scopes.join(" "),
            key_expires_at: record.expires_at,
        })
    }

    /// Returns the identity headers: lower-case names with their values.
    pub fn headers(&self) -> [(&'static str, &str); 4] {
        [
            (KEY_ID, self.key_id.as_str()),
            (INTEGRATION, &self.integration),
            (ENVIRONMENT, self.environment.as_str()),
            (SCOPES, &self.scopes),
        ]
    }

    /// Returns the same headers as a block of header lines, in the form that [`Plan`](super::Plan) documents.
    pub fn header_block(&self) -> String {
        let mut block = String::with_capacity(160);
        for (name, value) in self.headers() {
            write_line(&mut block, name, value);
        }
        block
    }

    /// Returns the total size of the texts in bytes.
    pub fn size_bytes(&self) -> usize {
        let lengths = self.headers().map(|(_, value)| value.len());
        lengths.into_iter().fold(0, usize::saturating_add)
    }
}
