//! Making the credential that a write answers with, and making it again for a retry.

use serde::Deserialize;

use super::idempotency::Retryable;
use super::{Asked, Prepared, Unprepared};
use keyward_config::Config;
use keyward_http::problem::Problem;
use keyward_key::deterministic_entropy::{DeterministicEntropy, NONCE_BYTES};
use keyward_key::entropy::{Entropy, EntropyFailed};
use keyward_key::id::{Class, KeyId};
use keyward_key::keyring::{DerivedKeys, Generation};
use keyward_key::mint::{ApiKey, Minted, mint_for, mint_in};
use keyward_key::version;
use keyward_protocol::{Command, NewCredential, Outcome, Raw, RawOutcome};

/// The answer to a write that was done before, and its credential, derived again from what the registry kept of it. `None` when
/// the secret it was minted under is not at hand (any more), or the answer is not one to this request.
#[must_use]
pub fn derive_again(
    asked: &Asked<'_>,
    done: &Raw,
    nonce: &str,
    minted_under: &Generation,
) -> Option<(RawOutcome, ApiKey)> {
    let done: RawOutcome = version::read(done.get()).ok()?;
    let retryable = CredentialIssuer::of(asked).ok()?.retryable?;
    let mut bytes = [0; NONCE_BYTES];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    let (view, is_new) = match &done {
        Outcome::KeyIssued(view) | Outcome::KeyRotated { key: view, .. } => (&**view, true),
        Outcome::MemberCreated(view) => (view, true),
        Outcome::MemberRotated(view) => (view, false),
        _ => return None,
    };
    let id = id_of(view)?;
    let whose = if is_new { Subject::New(id.class()) } else { Subject::Existing(id.clone()) };
    let derived = asked.config.keyring.of_generation(minted_under)?;
    let minted = whose
        .mint(asked.config, derived, &mut DeterministicEntropy::new(derived, retryable.fingerprint, bytes))
        .ok()?;
    (minted.id == id).then_some((done, minted.api_key))
}

/// Which key or member a view shows.
fn id_of(view: &Raw) -> Option<KeyId> {
    #[derive(Deserialize)]
    struct Named {
        id: KeyId,
    }
    version::read::<Named>(view.get()).ok().map(|view| view.id)
}

/// Whose credential is minted.
pub(super) enum Subject {
    /// A new id's.
    New(Class),
    /// This member's, who keeps their id.
    Existing(KeyId),
}

impl Subject {
    fn mint(self, config: &Config, derived: &DerivedKeys, entropy: &mut impl Entropy) -> Result<Minted, EntropyFailed> {
        match self {
            Self::New(class) => mint_in(derived, &config.prefix, class, entropy),
            Self::Existing(id) => mint_for(derived, id, entropy),
        }
    }
}

/// Makes a credential: from the system's entropy, or so that a retry can make it again.
pub(super) struct CredentialIssuer<'a> {
    config: &'a Config,
    retryable: Option<Retryable>,
}

impl<'a> CredentialIssuer<'a> {
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
        whose: Subject,
        entropy: &mut impl Entropy,
        command: impl FnOnce(NewCredential) -> Command,
    ) -> Result<Prepared, Unprepared> {
        let derived = self.config.keyring.current();
        let (minted, idempotency) = match self.retryable {
            None => (whose.mint(self.config, derived, entropy)?, None),
            Some(retryable) => {
                let nonce = Retryable::nonce(entropy)?;
                let mut stream = DeterministicEntropy::new(derived, retryable.fingerprint, nonce);
                (whose.mint(self.config, derived, &mut stream)?, Some(retryable.note(nonce)))
            }
        };
        let credential = NewCredential { id: minted.id, key_hash: minted.hash, minted_under: minted.generation };
        Ok(Prepared { command: command(credential), api_key: Some(minted.api_key), idempotency })
    }
}
