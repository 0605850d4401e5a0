//! Values that a shell offers while a command line is typed.
//!
//! They come from a file that `keyward keys list` writes: a completion sends no request and opens no keyring. The file has ids, names and
//! integrations, which are public within a team, and no secret.

use std::fs;
use std::path::PathBuf;

use clap_complete::CompletionCandidate;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::profile::{self, Profiles};

/// Maximum number of keys that are remembered.
const REMEMBERED_KEYS: usize = 2_000;

#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    keys: Vec<RememberedKey>,
}

#[derive(Serialize, Deserialize)]
struct RememberedKey {
    id: String,
    name: String,
    integration: String,
}

fn file(profile: &str) -> Option<PathBuf> {
    let plain: String =
        profile.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    Some(profile::folder().ok()?.join(format!("completion-{plain}.json")))
}

/// Remembers listed keys for later completions. A failure costs completions only.
pub fn remember(profile: &str, items: &[Json]) {
    let text = |item: &Json, name: &str| item.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let keys = items.iter().take(REMEMBERED_KEYS).map(|item| RememberedKey {
        id: text(item, "id"),
        name: text(item, "name"),
        integration: text(item, "integration"),
    });
    let (Some(path), Ok(json)) = (file(profile), serde_json::to_vec(&Remembered { keys: keys.collect() })) else {
        return;
    };
    if path.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok()) {
        let _ = profile::write_private(&path, &json);
    }
}

fn remembered() -> Vec<RememberedKey> {
    // The command line that is completed may name a profile, but a candidate does not learn it: the variable or the default counts.
    let named = std::env::var("KEYWARD_PROFILE").ok();
    let profiles = Profiles::load().unwrap_or_default();
    let name = named.as_deref().or(profiles.default.as_deref()).unwrap_or(profile::DEFAULT_NAME);
    let text = file(name).and_then(|path| fs::read(path).ok()).unwrap_or_default();
    serde_json::from_slice::<Remembered>(&text).unwrap_or_default().keys
}

/// Returns the ids of remembered keys, each with its name.
#[must_use]
pub fn key_ids() -> Vec<CompletionCandidate> {
    remembered().into_iter().map(|key| CompletionCandidate::new(key.id).help(Some(key.name.into()))).collect()
}

/// Returns the integrations of remembered keys.
#[must_use]
pub fn integrations() -> Vec<CompletionCandidate> {
    let mut names: Vec<String> = remembered().into_iter().map(|key| key.integration).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Returns the names of the profiles, each with its address.
#[must_use]
pub fn profiles() -> Vec<CompletionCandidate> {
    let profiles = Profiles::load().unwrap_or_default().profile;
    profiles.into_iter().map(|(name, profile)| CompletionCandidate::new(name).help(Some(profile.url.into()))).collect()
}
