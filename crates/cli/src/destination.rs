//! Where `--to` sends a new key: the standard input of one program.
//!
//! The key is in this program's memory and in the pipe. It is in no argument, no environment and no file, and what the program writes is
//! shown only after the key was blanked in it.

use std::fmt;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::credential;
use crate::failure::Failure;
use crate::interrupt;
use crate::secret::Secret;

/// Pause between two looks at the program.
const POLL: Duration = Duration::from_millis(20);
/// Number of polls for output that arrives after the program's end.
const LAST_OUTPUT_POLLS: u32 = 25;
/// Maximum output of the program that is shown, in bytes. The rest is read and dropped.
const OUTPUT_BYTES: usize = 65_536;
/// How `--to` is written.
pub const FORMS: &str = "gh:OWNER/REPO/NAME, wrangler:NAME, vault:PATH#KEY, doppler:NAME or exec:'COMMAND'";

/// A program that takes a key on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A GitHub Actions secret: `gh secret set NAME --repo OWNER/REPO`.
    GitHub {
        /// Owner and repository.
        repository: String,
        /// Name of the secret.
        name: String,
    },
    /// A Worker's secret: `wrangler secret put NAME`.
    Wrangler {
        /// Name of the secret.
        name: String,
    },
    /// A field of a secret in Vault's key-value store, version 2. Other fields stay.
    Vault {
        /// Path with its mount.
        path: String,
        /// Field.
        key: String,
    },
    /// A Doppler secret: `doppler secrets set NAME`.
    Doppler {
        /// Name of the secret.
        name: String,
    },
    /// Any command: `sh -c COMMAND`.
    Exec {
        /// The command.
        command: String,
    },
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("Write it as {FORMS}.");
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let destination = match kind {
            "gh" => {
                let (repository, name) = rest.rsplit_once('/').ok_or_else(wrong)?;
                let parts: Vec<&str> = repository.split('/').collect();
                let fits = parts.len() == 2 && parts.iter().all(|part| is_plain(part, "._-")) && is_plain(name, "_");
                fits.then(|| Self::GitHub { repository: repository.to_owned(), name: name.to_owned() })
            }
            "wrangler" => is_plain(rest, "_").then(|| Self::Wrangler { name: rest.to_owned() }),
            "doppler" => is_plain(rest, "_").then(|| Self::Doppler { name: rest.to_owned() }),
            "vault" => {
                let (path, key) = rest.split_once('#').ok_or_else(wrong)?;
                (is_plain(path, "._-/") && is_plain(key, "._-"))
                    .then(|| Self::Vault { path: path.to_owned(), key: key.to_owned() })
            }
            "exec" => (!rest.trim().is_empty()).then(|| Self::Exec { command: rest.to_owned() }),
            _ => None,
        };
        destination.ok_or_else(wrong)
    }
}

/// Whether a text can stand as an argument of another program: it is no option and has no characters but these.
fn is_plain(text: &str, others: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || others.contains(letter))
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitHub { repository, name } => write!(formatter, "gh:{repository}/{name}"),
            Self::Wrangler { name } => write!(formatter, "wrangler:{name}"),
            Self::Vault { path, key } => write!(formatter, "vault:{path}#{key}"),
            Self::Doppler { name } => write!(formatter, "doppler:{name}"),
            Self::Exec { command } => write!(formatter, "exec:{command}"),
        }
    }
}

impl Destination {
    /// Returns the commands, in the order in which they are tried: the key is delivered when one of them succeeds.
    fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        match self {
            Self::GitHub { repository, name } => vec![words(&["gh", "secret", "set", name, "--repo", repository])],
            Self::Wrangler { name } => vec![words(&["wrangler", "secret", "put", name])],
            // `put` alone would drop the other fields. With -cas=0 it only makes a secret that does not exist yet.
            Self::Vault { path, key } => {
                let field = format!("{key}=-");
                vec![
                    words(&["vault", "kv", "patch", path, &field]),
                    words(&["vault", "kv", "put", "-cas=0", path, &field]),
                ]
            }
            Self::Doppler { name } => vec![words(&["doppler", "secrets", "set", name, "--silent"])],
            Self::Exec { command } => vec![words(&["sh", "-c", command])],
        }
    }

    /// Checks that the program is there, before a key is made.
    ///
    /// # Errors
    /// [`Failure`] if it is not in `PATH`.
    pub fn check(&self) -> Result<(), Failure> {
        let program = self.commands().into_iter().next().and_then(|words| words.into_iter().next()).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).any(|folder| is_program(&folder.join(&program)));
        if found {
            return Ok(());
        }
        Err(Failure::failed(format!("{program} is not installed: it is in no folder of PATH. No key was made."))
            .next(format!("Install {program}, or choose another destination: {FORMS}.")))
    }

    /// Delivers a key.
    ///
    /// # Errors
    /// What went wrong. The key may or may not have arrived then.
    pub fn deliver(&self, key: &Secret) -> Result<(), String> {
        let mut problems = Vec::new();
        for words in self.commands() {
            match run(&words, key) {
                Ok(()) => return Ok(()),
                Err(problem) => problems.push(problem),
            }
            if interrupt::happened() {
                break;
            }
        }
        Err(problems.join(" "))
    }
}

fn is_program(path: &Path) -> bool {
    if cfg!(windows) {
        return ["exe", "cmd", "bat"].iter().any(|extension| path.with_extension(extension).is_file());
    }
    path.is_file()
}

fn run(words: &[String], key: &Secret) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Err("There is no command.".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove(credential::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program} could not be started: {error}."))?;
    let outputs = [child.stdout.take().map(collect), child.stderr.take().map(collect)];
    let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(key.expose().as_bytes()));
    let ended = wait(&mut child);
    for output in outputs.into_iter().flatten() {
        show(&key.redact(&output.text()));
    }
    match (ended, sent) {
        (Err(problem), _) => Err(problem),
        (Ok(status), _) if !status.success() => Err(format!("{program} ended with {status}.")),
        (Ok(_), Err(error)) => Err(format!("{program} did not read the key: {error}.")),
        (Ok(_), Ok(())) => Ok(()),
    }
}

/// Waits for the end of the program. An interruption ends it.
fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("Waiting for the program failed: {error}."))? {
            return if interrupt::happened() { Err("Interrupted.".to_owned()) } else { Ok(status) };
        }
        if interrupt::happened() {
            let _ = child.kill();
            let _ = child.wait();
            return Err("Interrupted.".to_owned());
        }
        thread::sleep(POLL);
    }
}

/// What a program writes.
struct Collected {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

/// Reads all output, so that the program never waits for room in its pipe, and keeps its beginning.
fn collect(mut output: impl Read + Send + 'static) -> Collected {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&kept);
    let reader = thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut chunk) {
            let Ok(mut kept) = shared.lock() else { return };
            let room = OUTPUT_BYTES.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
        }
    });
    Collected { kept, reader }
}

impl Collected {
    /// Returns the output of a program that has ended. A descendant of it may still hold the pipe, and is not waited for.
    fn text(self) -> String {
        let mut polls: u32 = 0;
        while !self.reader.is_finished() && polls < LAST_OUTPUT_POLLS {
            thread::sleep(POLL);
            polls = polls.saturating_add(1);
        }
        self.kept.lock().map(|kept| String::from_utf8_lossy(&kept).into_owned()).unwrap_or_default()
    }
}

fn show(text: &str) {
    if !text.trim().is_empty() {
        let text = crate::output::printable(text.trim_end());
        let _ = writeln!(
            std::io::stderr().lock(),
            "{}",
            text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_written_as_it_is_read() {
        for text in [
            "gh:acme/shop/CRM_KEY",
            "wrangler:CRM_KEY",
            "vault:secret/crm/prod#api_key",
            "doppler:CRM_KEY",
            "exec:pass insert -e crm",
        ] {
            assert_eq!(Destination::from_str(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_that_another_program_could_take_for_an_option_is_refused() {
        for text in [
            "gh:acme/shop/--body=x",
            "gh:-R/x/NAME",
            "gh:acme/NAME",
            "gh:a/b/c/NAME",
            "wrangler:-h",
            "wrangler:A B",
            "vault:-x#k",
            "vault:secret/crm",
            "vault:secret/a#k=v",
            "doppler:",
            "exec: ",
            "pass:x",
            "NAME",
        ] {
            assert!(Destination::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_command_has_the_key_among_its_arguments() {
        let vault = Destination::from_str("vault:secret/crm#key").unwrap();
        assert_eq!(vault.commands()[0], ["vault", "kv", "patch", "secret/crm", "key=-"]);
        assert_eq!(vault.commands()[1], ["vault", "kv", "put", "-cas=0", "secret/crm", "key=-"]);
    }
}
