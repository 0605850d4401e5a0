//! Mints the credential that an operation's response shows, and derives it again for a retry.

use super::failure::Failure;
use super::operation::{Input, Spec};
use super::retry::Retryable;
use keyward_config::Config;
use keyward_key::claim::mint_claim;
use keyward_key::deterministic_entropy::{DeterministicEntropy, NONCE_BYTES};
use keyward_key::entropy::{Entropy, EntropyFailed};
use keyward_key::id::{Class, KeyId};
use keyward_key::keyring::{DerivedKeys, Generation};
use keyward_key::mint::{Minted, mint_for, mint_in};
use keyward_protocol::{Idempotency, NewCredential};

/// Subject of the credential to mint.
pub enum Subject {
    /// A new key or member of this class.
    New(Class),
    /// An existing member, or a key that waits for its claim. Each keeps its id.
    Existing(KeyId),
    /// A new key of this class that waits for its claim: its id, and the claim's secret.
    Claim(Class),
}

impl Subject {
    fn mint(self, config: &Config, derived: &DerivedKeys, entropy: &mut impl Entropy) -> Result<Minted, EntropyFailed> {
        match self {
            Self::New(class) => mint_in(derived, &config.prefix, class, entropy),
            Self::Existing(id) => mint_for(derived, id, entropy),
            Self::Claim(class) => mint_claim(derived, &config.prefix, class, entropy),
        }
    }
}

/// What the isolate mints for one request.
pub(super) struct Minting {
    /// The credential of the operation's subject.
    pub subject: Option<Minted>,
    /// Claims of replacements, in the order of the classes that were wanted.
    pub claims: Vec<Minted>,
}

impl Minting {
    fn draw(
        config: &Config,
        derived: &DerivedKeys,
        wanted: Wanted,
        entropy: &mut impl Entropy,
    ) -> Result<Self, EntropyFailed> {
        let subject = wanted.subject.map(|subject| subject.mint(config, derived, entropy)).transpose()?;
        let claims = wanted.claims.into_iter().map(|class| mint_claim(derived, &config.prefix, class, entropy));
        Ok(Self { subject, claims: claims.collect::<Result<_, _>>()? })
    }
}

/// What a request needs to have minted.
pub(super) struct Wanted {
    pub subject: Option<Subject>,
    /// Class of the key of each claim.
    pub claims: Vec<Class>,
}

/// Mints credentials. Uses the system's entropy or, for a write that can be retried, derives them so that a retry gets the same ones.
pub(super) fn mint(
    config: &Config,
    retryable: Option<&Retryable>,
    wanted: Wanted,
    entropy: &mut dyn Entropy,
) -> Result<(Minting, Option<Idempotency>), Failure> {
    let derived = config.keyring.current();
    let mut entropy = SystemEntropy(entropy);
    let Some(retryable) = retryable else {
        return Ok((Minting::draw(config, derived, wanted, &mut entropy)?, None));
    };
    let nonce = Retryable::nonce(&mut entropy)?;
    let mut stream = DeterministicEntropy::new(derived, retryable.fingerprint, nonce);
    let minting = Minting::draw(config, derived, wanted, &mut stream)?;
    let generation = minting.subject.is_none().then(|| derived.generation());
    Ok((minting, Some(retryable.note(nonce, generation))))
}

/// Derives the credentials of a first attempt again. `None` if this isolate lacks the secret that they were minted under.
pub(super) fn derive_again(
    config: &Config,
    retryable: &Retryable,
    wanted: Wanted,
    nonce: &str,
    minted_under: &Generation,
) -> Option<Minting> {
    let mut bytes = [0; NONCE_BYTES];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    let derived = config.keyring.of_generation(minted_under)?;
    let mut stream = DeterministicEntropy::new(derived, retryable.fingerprint, bytes);
    Minting::draw(config, derived, wanted, &mut stream).ok()
}

/// Returns how a write can be recognised again, if it can be retried: by `Idempotency-Key`, or by the caller's nonce in the body.
pub(super) fn retryable(spec: &Spec, input: &Input<'_>, nonce: Option<&str>) -> Result<Option<Retryable>, Failure> {
    if !spec.idempotent {
        return Ok(None);
    }
    // The spelling of the route is part of every stored fingerprint, so it must not change.
    let route = spec.path.replace("{id}", "*");
    match nonce {
        Some(nonce) => Ok(Some(Retryable::of_nonce(&route, input.id, nonce))),
        None => Ok(Retryable::read(input.head, &route, input.id, input.body)?),
    }
}

/// Returns the fields of a credential that the registry stores.
pub(super) fn without_text(minted: &Minted) -> NewCredential {
    NewCredential { id: minted.id.clone(), key_hash: minted.hash.clone(), minted_under: minted.generation.clone() }
}

/// Gives a trait object to functions that are generic over their entropy.
pub(super) struct SystemEntropy<'a>(pub &'a mut dyn Entropy);

impl Entropy for SystemEntropy<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        self.0.fill(buffer)
    }
}
