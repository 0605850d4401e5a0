//! Stands in for the AES-256-GCM of WebCrypto, for code that runs without it: what is sealed shows nothing of its text, and opens only with
//! its key and unchanged.

use keyward_key::keyring::SealingKey;

const TAG: usize = 8;

/// Returns pseudorandom bytes that depend on the key.
fn stream(key: &SealingKey) -> impl Iterator<Item = u8> {
    let mut state = mix(0, key.expose());
    std::iter::repeat_with(move || {
        state = mix(state, &[1]);
        state.to_be_bytes()[0]
    })
}

/// FNV-1a.
fn mix(state: u64, bytes: &[u8]) -> u64 {
    let start = state ^ 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn tag(key: &SealingKey, hidden: &[u8]) -> [u8; TAG] {
    mix(mix(0, key.expose()), hidden).to_be_bytes()
}

/// Seals a body.
#[must_use]
pub fn seal(key: &SealingKey, body: &[u8]) -> Vec<u8> {
    let hidden: Vec<u8> = body.iter().zip(stream(key)).map(|(byte, mask)| byte ^ mask).collect();
    [tag(key, &hidden).as_slice(), &hidden].concat()
}

/// Opens a sealed body. `None` if another key sealed it, or if it was changed.
#[must_use]
pub fn open(key: &SealingKey, sealed: &[u8]) -> Option<Vec<u8>> {
    let (found, hidden) = sealed.split_first_chunk::<TAG>()?;
    (*found == tag(key, hidden)).then(|| hidden.iter().zip(stream(key)).map(|(byte, mask)| byte ^ mask).collect())
}
