//! A key that is handed over in a body: asked about (`verify`), introspected, or surrendered by its holder.
//!
//! What is handed over becomes a command, and what the registry found becomes the answer. All three share one way, which
//! `cloudflare/handed.rs` goes.

use super::oauth::{self, OAuthRefusal};
use super::{introspect, verify_key::VerifyRequest};
use keyward_config::Config;
use keyward_gate::SubmittedKey;
use keyward_http::head::Head;
use keyward_http::reply::Reply;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Command, Inspected, Operation, Raw};

/// A body, read.
pub enum KeyEndpointRequest {
    /// It is wrong. Those who may ask at all learn how.
    Wrong(OAuthRefusal),
    /// `verify`: the question.
    Verify(VerifyRequest),
    /// `introspect`: the key, unless the token is none of ours by form, check and tag.
    Introspect(Option<SubmittedKey>),
    /// `revoke`: likewise.
    RevokeByHolder(Option<SubmittedKey>),
}

impl KeyEndpointRequest {
    /// Reads the body of one of the three operations.
    #[must_use]
    pub fn parse(operation: Operation, config: &Config, head: &Head<'_>, body: &[u8]) -> Self {
        if operation == Operation::Verify {
            return VerifyRequest::parse(config, head, body)
                .map_or_else(|problem| Self::Wrong(problem.into()), Self::Verify);
        }
        match oauth::token(head, body) {
            Err(refusal) => Self::Wrong(refusal),
            Ok(token) => {
                let handed = SubmittedKey::recognise(config, &token).ok();
                if operation == Operation::Introspect { Self::Introspect(handed) } else { Self::RevokeByHolder(handed) }
            }
        }
    }

    /// The id of the key that is handed over, unless it is none of ours.
    #[must_use]
    pub fn id(&self) -> Option<&KeyId> {
        let handed = match self {
            Self::Verify(question) => question.handed(),
            Self::Introspect(handed) | Self::RevokeByHolder(handed) => handed.as_ref(),
            Self::Wrong(_) => None,
        };
        handed.map(SubmittedKey::id)
    }

    /// What the registry is asked: about the key or, where that is known already to be none, only about the caller.
    #[must_use]
    pub fn command(&self, operation: Operation) -> Command {
        let Some(id) = self.id() else { return Command::Authorise { operation } };
        match self {
            Self::Verify(_) => Command::Verify(id.clone()),
            Self::Introspect(_) => Command::Introspect(id.clone()),
            Self::RevokeByHolder(_) => Command::RevokeByHolder,
            Self::Wrong(_) => Command::Authorise { operation },
        }
    }

    /// The answer to one who may ask. `found` is the authority's word at `at`; where it was not asked about the key it is `None`.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn answer(
        self,
        config: &Config,
        head: &Head<'_>,
        at: Millis,
        found: Option<&Inspected<Raw>>,
        request_id: &str,
    ) -> Result<Reply, OAuthRefusal> {
        match self {
            Self::Wrong(refusal) => Err(refusal),
            Self::Verify(question) => Ok(question.answer(at, found, request_id)),
            Self::Introspect(handed) => {
                let told = handed.and_then(|handed| introspect::answer(config, head, &handed, at, found, request_id));
                Ok(told.unwrap_or_else(|| introspect::inactive(request_id)))
            }
            // Unknown, malformed, revoked before and revoked now: one answer (RFC 7009, section 2.2).
            Self::RevokeByHolder(_) => Ok(Reply::empty(request_id)),
        }
    }
}
