//! A key that is handed over in a body: asked about (`verify`), introspected, or surrendered by its holder.
//!
//! What is handed over becomes a command, and what the registry found becomes the answer. All three share one way, which
//! `cloudflare/handed.rs` goes.

use super::oauth::{self, OAuthRefusal};
use super::{introspect, verify_key::Question};
use crate::config::Config;
use crate::gate::Handed;
use crate::http::head::Head;
use crate::http::reply::Reply;
use crate::key::id::KeyId;
use crate::registry::command::{Command, Inspected, Operation, Raw};
use crate::time::Millis;

/// A body, read.
pub enum Handover {
    /// It is wrong. Those who may ask at all learn how.
    Wrong(OAuthRefusal),
    /// `verify`: the question.
    Verify(Question),
    /// `introspect`: the key, unless the token is none of ours by form, check and tag.
    Introspect(Option<Handed>),
    /// `revoke`: likewise.
    Surrender(Option<Handed>),
}

impl Handover {
    /// Reads the body of one of the three operations.
    #[must_use]
    pub fn parse(operation: Operation, config: &Config, head: &Head<'_>, body: &[u8]) -> Self {
        if operation == Operation::Verify {
            return Question::parse(config, head, body)
                .map_or_else(|problem| Self::Wrong(problem.into()), Self::Verify);
        }
        match oauth::token(head, body) {
            Err(refusal) => Self::Wrong(refusal),
            Ok(token) => {
                let handed = Handed::recognise(config, &token).ok();
                if operation == Operation::Introspect { Self::Introspect(handed) } else { Self::Surrender(handed) }
            }
        }
    }

    /// The id of the key that is handed over, unless it is none of ours.
    #[must_use]
    pub fn id(&self) -> Option<&KeyId> {
        let handed = match self {
            Self::Verify(question) => question.handed(),
            Self::Introspect(handed) | Self::Surrender(handed) => handed.as_ref(),
            Self::Wrong(_) => None,
        };
        handed.map(Handed::id)
    }

    /// What the registry is asked: about the key or, where that is known already to be none, only about the caller.
    #[must_use]
    pub fn command(&self, operation: Operation) -> Command {
        let Some(id) = self.id() else { return Command::Authorise { operation } };
        match self {
            Self::Verify(_) => Command::Verify(id.clone()),
            Self::Introspect(_) => Command::Introspect(id.clone()),
            Self::Surrender(_) => Command::Surrender,
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
            Self::Surrender(_) => Ok(Reply::empty(request_id)),
        }
    }
}
