//! Native signing, for code that runs without WebCrypto.

use ed25519_dalek::Signer;
use keyward_config::Config;
use keyward_gate::{Gate, Grant, Reason, Refusal, Step, Unsigned};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::assertion::signed;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;

fn native(key: &SigningKey) -> ed25519_dalek::SigningKey {
    let pkcs8 = key.pkcs8();
    ed25519_dalek::SigningKey::from_bytes(pkcs8.last_chunk().expect("a PKCS #8 key ends with its seed"))
}

/// Returns the public half of a key.
#[must_use]
pub fn public_of(key: &SigningKey) -> PublicKey {
    native(key).verifying_key().to_bytes()
}

/// Signs `text`.
#[must_use]
pub fn sign(key: &SigningKey, text: &[u8]) -> Signature {
    native(key).sign(text).to_bytes()
}

/// Calls [`Gate::admit`] and signs the assertion if the gate asks for one.
pub fn admit(gate: &mut Gate, config: &Config, head: &Head<'_>, now: Millis, request_id: &str) -> Step {
    match gate.admit(config, head, now) {
        Step::Sign(unsigned) => {
            sign_assertion(gate, config, unsigned, head, request_id).map_or_else(Step::Refuse, Step::Forward)
        }
        step => step,
    }
}

/// Signs the assertion of one request.
///
/// # Errors
/// Refuses with `internal_error` if the signing key has no public half.
pub fn sign_assertion(
    gate: &mut Gate,
    config: &Config,
    unsigned: Unsigned,
    head: &Head<'_>,
    request_id: &str,
) -> Result<Grant, Refusal> {
    let derived = config.keyring.current();
    let key = derived.assertion();
    if key.public().is_none() {
        key.set_public(public_of(key));
    }
    let text = derived.assertion_key().and_then(|public| unsigned.text(public, head, request_id));
    let text = text.ok_or_else(|| Refusal::new(Code::InternalError, Reason::Unsigned))?;
    let signature = sign(key, text.as_bytes());
    Ok(gate.signed(unsigned, signed(text, &signature)))
}
