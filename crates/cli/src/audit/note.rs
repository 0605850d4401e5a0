//! Verifier keys and checkpoints (C2SP signed note, Ed25519).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Signature type of Ed25519.
const ED25519: u8 = 0x01;

/// A key that verifies checkpoints.
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A head of the log that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where it was read.
    pub source: String,
    /// Number of entries.
    pub size: u64,
    /// Hash of the last entry, in lower-case hex.
    pub hash: String,
    /// Name of the key that signed; `None` if no key was given, so that the signature was not verified.
    pub signed_by: Option<String>,
}

/// Parses verifier keys, one a line: `<name>+<key id>+<base64 of 0x01 and the public key>`.
///
/// # Errors
/// What is wrong.
pub fn parse_keys(text: &str) -> Result<Vec<VerifierKey>, String> {
    let keys = text.lines().filter(|line| !line.trim().is_empty()).map(|line| parse_key(line.trim()));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err("There is no verifier key.".to_owned()) } else { Ok(keys) }
}

fn parse_key(line: &str) -> Result<VerifierKey, String> {
    let wrong = || "A verifier key looks like keyward/wafl+1a2b3c4d+AQ…".to_owned();
    // Base64 may hold a plus, so only the first two count.
    let mut parts = line.splitn(3, '+');
    let (name, id, key) =
        (parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
    let typed = STANDARD.decode(key).map_err(|_| wrong())?;
    let Some((&ED25519, public)) = typed.split_first() else { return Err(wrong()) };
    let public: [u8; 32] = public.try_into().map_err(|_| wrong())?;
    let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(&typed).finalize();
    let expected = digest.first_chunk::<4>().copied().unwrap_or_default();
    if hex::encode(expected) != id {
        return Err("The id of a verifier key does not fit the key.".to_owned());
    }
    let key = VerifyingKey::from_bytes(&public).map_err(|_| wrong())?;
    Ok(VerifierKey { name: name.to_owned(), id: expected, key })
}

/// Reads a checkpoint. With keys one of them must have signed it; signatures of other keys are ignored.
///
/// # Errors
/// What is wrong.
pub fn read_checkpoint(source: &str, note: &str, keys: &[VerifierKey]) -> Result<Checkpoint, String> {
    let wrong = |problem: &str| format!("{source}: {problem}.");
    let (text, signatures) = note.rsplit_once("\n\n").ok_or_else(|| wrong("it has no signatures"))?;
    let signatures = signatures.strip_suffix('\n').ok_or_else(|| wrong("its last line is incomplete"))?;
    let signed_by = verify(&format!("{text}\n"), signatures, keys).map_err(|problem| wrong(&problem))?;
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, hash, ..] = lines[..] else { return Err(wrong("it has fewer than three lines")) };
    if signed_by.as_deref().is_some_and(|name| name != origin) {
        return Err(wrong("it is of another log than its key"));
    }
    let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
    let size = number.ok_or_else(|| wrong("its second line is no number of entries"))?;
    let hash = STANDARD.decode(hash).ok().filter(|hash| hash.len() == 32);
    let hash = hash.ok_or_else(|| wrong("its third line is no hash"))?;
    Ok(Checkpoint { source: source.to_owned(), size, hash: hex::encode(hash), signed_by })
}

/// Returns the name of the key that signed, `None` if there is no key at all.
fn verify(text: &str, signatures: &str, keys: &[VerifierKey]) -> Result<Option<String>, String> {
    let mut signed_by = None;
    for line in signatures.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let ["\u{2014}", name, value] = parts[..] else { return Err("a signature line is malformed".to_owned()) };
        let value = STANDARD.decode(value).map_err(|_| "a signature is not base64".to_owned())?;
        let Some((id, signature)) = value.split_first_chunk::<4>() else {
            return Err("a signature is too short".to_owned());
        };
        let Some(key) = keys.iter().find(|key| key.name == name && key.id == *id) else { continue };
        let signature = Signature::from_slice(signature).map_err(|_| "a signature is malformed".to_owned())?;
        key.key.verify_strict(text.as_bytes(), &signature).map_err(|_| "its signature is wrong".to_owned())?;
        signed_by = Some(key.name.clone());
    }
    if signed_by.is_none() && !keys.is_empty() {
        return Err("none of the given keys has signed it".to_owned());
    }
    Ok(signed_by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};

    fn signed(seed: u8, name: &str, text: &str) -> (String, String) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = key.sign(text.as_bytes()).to_bytes();
        (keyward_key::note::vkey(name, &public), keyward_key::note::note(name, text, &public, &signature))
    }

    fn text() -> String {
        format!("keyward/wafl\n3\n{}\n", STANDARD.encode([7; 32]))
    }

    #[test]
    fn a_checkpoint_of_the_product_verifies_with_its_key() {
        let (vkey, note) = signed(7, "keyward/wafl", &text());
        let checkpoint = read_checkpoint("c", &note, &parse_keys(&vkey).unwrap()).unwrap();
        assert_eq!((checkpoint.size, checkpoint.hash), (3, "07".repeat(32)));
        assert_eq!(checkpoint.signed_by.as_deref(), Some("keyward/wafl"));
        assert_eq!(read_checkpoint("c", &note, &[]).unwrap().signed_by, None);
    }

    #[test]
    fn a_changed_or_foreign_checkpoint_is_refused() {
        let (vkey, note) = signed(7, "keyward/wafl", &text());
        let keys = parse_keys(&vkey).unwrap();
        let (other_key, other) = signed(8, "keyward/wafl", &text());
        let (elsewhere_key, elsewhere) = signed(7, "keyward/acme", &text());
        for wrong in [note.replace("\n3\n", "\n4\n"), other.clone(), elsewhere.clone(), note.replacen("\n\n", "\n", 1)]
        {
            assert!(read_checkpoint("c", &wrong, &keys).is_err(), "{wrong}");
        }
        assert!(
            read_checkpoint("c", &elsewhere, &parse_keys(&elsewhere_key).unwrap()).unwrap_err().contains("another log")
        );
        // A second signature of a key that nobody pinned changes nothing.
        let both = format!("{note}{}\n", other.lines().last().unwrap());
        assert!(read_checkpoint("c", &both, &keys).is_ok());
        assert!(parse_keys(&other_key.replacen("wafl", "walf", 1)).is_err());
        assert!(parse_keys("").is_err() && parse_keys("a+b").is_err());
    }
}
