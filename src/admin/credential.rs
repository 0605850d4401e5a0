//! Making the credential that a write answers with, and making it again for a retry.

use serde::Deserialize;

use super::idempotency::Retryable;
use super::{Asked, Prepared, Unprepared};
use crate::config::Config;
use crate::http::problem::Problem;
use crate::json;
use crate::key::entropy::{Entropy, EntropyFailed};
use crate::key::house::{Generation, House};
use crate::key::id::{Class, KeyId};
use crate::key::mint::{ApiKey, Minted, mint_for, mint_in};
use crate::key::reissue::{NONCE_BYTES, Reissue};
use crate::registry::command::{Command, Done, NewCredential, Raw, Told};

/// The answer to a write that was done before, and its credential, derived again from what the registry kept of it. `None` when
/// the secret it was minted under is not at hand (any more), or the answer is not one to this request.
#[must_use]
pub fn derive_again(asked: &Asked<'_>, done: &Raw, nonce: &str, minted_under: &Generation) -> Option<(Told, ApiKey)> {
    let done: Told = json::read(done.get()).ok()?;
    let retryable = Maker::of(asked).ok()?.retryable?;
    let mut bytes = [0; NONCE_BYTES];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    let (view, is_new) = match &done {
        Done::KeyIssued(view) | Done::KeyRotated { key: view, .. } => (&**view, true),
        Done::MemberCreated(view) => (view, true),
        Done::MemberRotated(view) => (view, false),
        _ => return None,
    };
    let id = id_of(view)?;
    let whose = if is_new { Whose::New(id.class()) } else { Whose::Of(id.clone()) };
    let house = asked.config.keyring.house(minted_under)?;
    let minted = whose.mint(asked.config, house, &mut Reissue::new(house, retryable.fingerprint, bytes)).ok()?;
    (minted.id == id).then_some((done, minted.api_key))
}

/// Which key or member a view shows.
fn id_of(view: &Raw) -> Option<KeyId> {
    #[derive(Deserialize)]
    struct Named {
        id: KeyId,
    }
    json::read::<Named>(view.get()).ok().map(|view| view.id)
}

/// Whose credential is minted.
pub(super) enum Whose {
    /// A new id's.
    New(Class),
    /// This member's, who keeps their id.
    Of(KeyId),
}

impl Whose {
    fn mint(self, config: &Config, house: &House, entropy: &mut impl Entropy) -> Result<Minted, EntropyFailed> {
        match self {
            Self::New(class) => mint_in(house, &config.prefix, class, entropy),
            Self::Of(id) => mint_for(house, id, entropy),
        }
    }
}

/// Makes a credential: from the system's entropy, or so that a retry can make it again.
pub(super) struct Maker<'a> {
    config: &'a Config,
    retryable: Option<Retryable>,
}

impl<'a> Maker<'a> {
    /// For a write that takes an `Idempotency-Key`.
    pub fn of(asked: &Asked<'a>) -> Result<Self, Problem> {
        let route = super::ROUTES.iter().find(|(_, _, operation)| *operation == Some(asked.operation));
        let route = route.map_or("", |(_, pattern, _)| pattern);
        let retryable = Retryable::read(asked.head, route, asked.id, asked.body)?;
        Ok(Self { config: asked.config, retryable })
    }

    /// For a write that takes none.
    pub const fn once(asked: &Asked<'a>) -> Self {
        Self { config: asked.config, retryable: None }
    }

    pub fn make(
        self,
        whose: Whose,
        entropy: &mut impl Entropy,
        command: impl FnOnce(NewCredential) -> Command,
    ) -> Result<Prepared, Unprepared> {
        let house = self.config.keyring.current();
        let (minted, idempotency) = match self.retryable {
            None => (whose.mint(self.config, house, entropy)?, None),
            Some(retryable) => {
                let nonce = Retryable::nonce(entropy)?;
                let mut stream = Reissue::new(house, retryable.fingerprint, nonce);
                (whose.mint(self.config, house, &mut stream)?, Some(retryable.note(nonce)))
            }
        };
        let credential = NewCredential { id: minted.id, key_hash: minted.hash, minted_under: minted.generation };
        Ok(Prepared { command: command(credential), api_key: Some(minted.api_key), idempotency })
    }
}
