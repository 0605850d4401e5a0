//! Deployments by name. The file holds no secret: credentials are in the operating system's keyring, or in a file of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Name of a profile that nobody named.
pub const DEFAULT_NAME: &str = "default";

/// Options that choose the deployment and the credential.
#[derive(Args, Clone, Debug, Default)]
pub struct ConnectionArgs {
    /// Address of the control plane, instead of a profile's
    #[arg(long, env = "KEYWARD_URL", value_name = "URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Profile that `keyward login` stored; by default the first one
    #[arg(long, env = "KEYWARD_PROFILE", value_name = "NAME", hide_env_values = true)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::completion::profiles))]
    pub profile: Option<String>,
    /// File with the credential, readable by you alone (0600). KEYWARD_CREDENTIAL comes first
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub credential_file: Option<PathBuf>,
}

/// One deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Address of the control plane: scheme, host and port.
    pub url: String,
    /// Member who signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The credential's file, if it is not in the keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_file: Option<PathBuf>,
}

impl Profile {
    /// Returns the prefix of the deployment's keys, as the member's id shows it.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.member.as_deref()?.split('_').next()
    }
}

/// All profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    /// Profile to use if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Profiles by name.
    #[serde(default)]
    pub profile: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the file. A missing file is an empty list.
    ///
    /// # Errors
    /// [`Failure`] if the file can't be read or is no list of profiles.
    pub fn load() -> Result<Self, Failure> {
        let path = file()?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::usage(format!("{} can't be read: {error}.", path.display()))),
        };
        toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} is no list of profiles: {}.", path.display(), error.message()))
                .next("Correct it, or delete it and sign in again with `keyward login`.")
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Failure`] if the file can't be written.
    pub fn save(&self) -> Result<(), Failure> {
        let path = file()?;
        let text =
            toml::to_string(self).map_err(|error| Failure::failed(format!("Profiles have no TOML form: {error}.")))?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        }
        write_private(&path, text.as_bytes())
    }

    /// Returns the named profile, or the default one, with its name.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<(&str, &Profile)> {
        let name = name.or(self.default.as_deref())?;
        self.profile.get_key_value(name).map(|(name, profile)| (name.as_str(), profile))
    }

    /// Adds or replaces a profile. The first one becomes the default.
    pub fn insert(&mut self, name: &str, profile: Profile) {
        self.profile.insert(name.to_owned(), profile);
        self.default.get_or_insert_with(|| name.to_owned());
    }

    /// Removes a profile. Another one becomes the default.
    pub fn remove(&mut self, name: &str) {
        self.profile.remove(name);
        if self.default.as_deref() == Some(name) {
            self.default = self.profile.keys().next().cloned();
        }
    }
}

/// Writes a file that only its owner can read. It is complete or not there: a file of the same name is replaced in one step.
///
/// # Errors
/// [`Failure`] if the file can't be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        cannot_write(path, &error)
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} can't be written: {error}.", path.display()))
}

/// Returns the folder of this program's settings.
///
/// # Errors
/// [`Failure`] if the user has no home folder.
pub fn folder() -> Result<PathBuf, Failure> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("XDG_CONFIG_HOME")
        .or_else(|| from("APPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".config")))
        .map(|base| base.join("keyward"))
        .ok_or_else(|| Failure::usage("There is no folder for settings.").next("Set HOME or XDG_CONFIG_HOME."))
}

fn file() -> Result<PathBuf, Failure> {
    Ok(folder()?.join("profiles.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_profile_is_the_default_until_it_is_removed() {
        let mut profiles = Profiles::default();
        profiles.insert("prod", Profile { url: "https://a.example".to_owned(), ..Profile::default() });
        profiles.insert("local", Profile { url: "http://localhost:8789".to_owned(), ..Profile::default() });
        assert_eq!(profiles.get(None).unwrap().0, "prod");
        assert_eq!(profiles.get(Some("local")).unwrap().1.url, "http://localhost:8789");
        assert_eq!(profiles.get(Some("other")), None);
        profiles.remove("prod");
        assert_eq!(profiles.get(None).unwrap().0, "local");
    }

    #[test]
    fn the_prefix_is_that_of_the_member() {
        let profile = Profile { member: Some("acme_admin_8Fh2kQ0sZp1L".to_owned()), ..Profile::default() };
        assert_eq!(profile.prefix(), Some("acme"));
    }
}
