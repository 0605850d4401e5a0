//! Credentials in files that only their owner can read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Credential, TEXT_BYTES};
use crate::failure::{Exit, Failure};
use crate::profile::write_private;
use crate::secret::Secret;

/// Reads a credential.
///
/// # Errors
/// [`Failure`] if the file can't be read, others can read it, or it holds no credential.
pub fn read(path: &Path) -> Result<Credential, Failure> {
    let name = path.display().to_string();
    let cannot = |error: std::io::Error| Failure::new(Exit::Refused, format!("{name} can't be read: {error}."));
    let file = File::open(path).map_err(cannot)?;
    check_private(&file, &name)?;
    let mut text = String::new();
    file.take(TEXT_BYTES).read_to_string(&mut text).map_err(cannot)?;
    Credential::parse(Secret::new(text).expose(), &name)
}

/// Writes a credential to a file that only its owner can read.
///
/// # Errors
/// [`Failure`] if the file can't be written.
pub fn write(path: &Path, credential: &Credential) -> Result<(), Failure> {
    write_private(path, credential.text.expose().as_bytes())
}

/// Looks at the opened file, so that nobody can exchange it in between.
#[cfg(unix)]
fn check_private(file: &File, name: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata().map_err(|error| Failure::new(Exit::Refused, format!("{name}: {error}.")))?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Refused, format!("{name} is no regular file.")));
    }
    if mode & 0o077 != 0 {
        return Err(Failure::new(
            Exit::Refused,
            format!("{name} has mode {mode:04o}: others on this machine can reach the credential."),
        )
        .next(format!("chmod 600 {name}")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &File, _: &str) -> Result<(), Failure> {
    Ok(())
}
