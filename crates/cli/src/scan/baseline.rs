//! Keys that are known and accepted, such as those of test vectors, by their ids.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::failure::Failure;

/// The form of the file.
const VERSION: u32 = 1;

/// A list of known keys.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    /// Ids of keys that are no findings.
    keys: BTreeSet<String>,
}

impl Baseline {
    /// Creates the baseline that accepts these findings.
    #[must_use]
    pub fn of(found: &[Finding]) -> Self {
        Self { version: VERSION, keys: found.iter().map(|finding| finding.id.clone()).collect() }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// [`Failure`] if the file can't be read or has another form.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{name} can't be read: {error}.")))?;
        let baseline: Self = serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("{name} is no baseline: {error}.")).next("Write one with --write-baseline.")
        })?;
        if baseline.version != VERSION {
            return Err(Failure::usage(format!(
                "{name} has version {}, and this program knows {VERSION}.",
                baseline.version
            )));
        }
        Ok(baseline)
    }

    /// Writes the baseline.
    ///
    /// # Errors
    /// [`Failure`] if the file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let cannot =
            |error: &dyn std::fmt::Display| Failure::failed(format!("{} can't be written: {error}.", path.display()));
        let mut text = serde_json::to_string_pretty(self).map_err(|error| cannot(&error))?;
        text.push('\n');
        std::fs::write(path, text).map_err(|error| cannot(&error))
    }

    /// Returns whether a finding is accepted.
    #[must_use]
    pub fn accepts(&self, finding: &Finding) -> bool {
        self.keys.contains(&finding.id)
    }

    /// Adds the keys of another baseline.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}
