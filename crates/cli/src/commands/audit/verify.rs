//! `keyward audit verify`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{CHECKPOINT, KEYS, LOG};
use crate::audit::log::check;
use crate::audit::note::{Checkpoint, VerifierKey, parse_keys, read_checkpoint};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use keyward_protocol::audit::Head;

/// Arguments of `audit verify`.
#[derive(Args)]
#[command(after_help = "\
Checked: the number, link and hash of each entry; the signature of each checkpoint; that the log
continues each checkpoint. What was not checked is said. Exit code 10: not verified.

A key that came with the export proves little, because whoever changed the log could have
changed the key. Keep the key and old checkpoints where the operators of the deployment can't
change them.

Examples:
  keyward audit verify audit/
  keyward audit verify audit/ --key @pinned.vkey --checkpoint kept/2026-10.txt
  keyward audit verify audit.ndjson --key keyward/wafl+1a2b3c4d+AQ… --checkpoint checkpoint.txt")]
pub struct VerifyArgs {
    /// Folder of an export, or a log in NDJSON
    #[arg(value_name = "DIR|FILE", value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// Pinned verifier key, or @FILE with one a line
    #[arg(long = "key", value_name = "VKEY|@FILE")]
    keys: Vec<String>,
    /// A checkpoint that was kept; repeat for several
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is to be verified.
struct Evidence {
    log: PathBuf,
    keys: Vec<VerifierKey>,
    keys_are_pinned: bool,
    /// Checkpoints, and whether each was named by the caller.
    checkpoints: Vec<(PathBuf, bool)>,
}

/// Verifies a log.
///
/// # Errors
/// [`Failure`] with exit code 10 if it is not verified.
pub fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let evidence = gather(args)?;
    let outcome = verify(&evidence);
    let (head, checkpoints) = match outcome {
        Ok(verified) => verified,
        Err(problem) => {
            if output.is_json() {
                output.json(&json!({"verified": false, "problem": problem}))?;
            } else {
                output.line(&format!("NOT VERIFIED: {problem}"))?;
            }
            return Err(Failure::differs());
        }
    };
    let unchecked = not_checked(&evidence, &head, &checkpoints);
    if output.is_json() {
        let kept = |(checkpoint, _): &(Checkpoint, bool)| json!({"source": checkpoint.source, "entries": checkpoint.size, "signed_by": checkpoint.signed_by});
        let kept: Vec<_> = checkpoints.iter().map(kept).collect();
        return output.json(&json!({
            "verified": true, "entries": head.seq, "hash": head.hash, "checkpoints": kept, "not_checked": unchecked,
        }));
    }
    output.line(&format!("ok: {} entries: the number, link and hash of each", head.seq))?;
    for (checkpoint, _) in &checkpoints {
        let signed = checkpoint.signed_by.as_deref().map(|name| format!(", signed by {name}")).unwrap_or_default();
        output.line(&format!("ok: the log continues {} ({} entries{signed})", checkpoint.source, checkpoint.size))?;
    }
    unchecked.iter().try_for_each(|text| output.line(&format!("not checked: {text}")))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{} can't be read: {error}.", path.display())))
}

fn gather(args: &VerifyArgs) -> Result<Evidence, Failure> {
    let mut text = String::new();
    for key in &args.keys {
        let line = key.strip_prefix('@').map(|path| read(Path::new(path))).transpose()?;
        text.push_str(line.as_deref().unwrap_or(key));
        text.push('\n');
    }
    let keys_are_pinned = !args.keys.is_empty();
    let mut checkpoints: Vec<(PathBuf, bool)> = args.checkpoints.iter().map(|path| (path.clone(), true)).collect();
    let mut log = args.path.clone();
    if args.path.is_dir() {
        log = args.path.join(LOG);
        checkpoints.extend(exported_checkpoints(&args.path)?.into_iter().map(|path| (path, false)));
        if !keys_are_pinned {
            text = read(&args.path.join(KEYS)).unwrap_or_default();
        }
    }
    let keys = if text.trim().is_empty() { Vec::new() } else { parse_keys(&text).map_err(Failure::usage)? };
    Ok(Evidence { log, keys, keys_are_pinned, checkpoints })
}

/// Returns the checkpoints of an export, in the order of their names.
fn exported_checkpoints(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error: std::io::Error| Failure::usage(format!("{} can't be read: {error}.", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == CHECKPOINT || (name.starts_with("checkpoint-") && name.ends_with(".txt")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

type Verified = (Head, Vec<(Checkpoint, bool)>);

fn verify(evidence: &Evidence) -> Result<Verified, String> {
    let mut checkpoints = Vec::new();
    for (path, named) in &evidence.checkpoints {
        let name = path.display().to_string();
        let note = std::fs::read_to_string(path).map_err(|error| format!("{name} can't be read: {error}."))?;
        checkpoints.push((read_checkpoint(&name, &note, &evidence.keys)?, *named));
    }
    let file =
        File::open(&evidence.log).map_err(|error| format!("{} can't be read: {error}.", evidence.log.display()))?;
    let heads: Vec<Checkpoint> = checkpoints.iter().map(|(checkpoint, _)| checkpoint.clone()).collect();
    let head = check(BufReader::with_capacity(1 << 20, file), &heads, |_| ())?;
    Ok((head, checkpoints))
}

/// Says what the verification does not show, so that nobody takes it for more than it is.
fn not_checked(evidence: &Evidence, head: &Head, checkpoints: &[(Checkpoint, bool)]) -> Vec<String> {
    let mut unchecked = Vec::new();
    if checkpoints.is_empty() {
        unchecked.push(
            "whether the log was rewritten, or its end is missing. Give a checkpoint: --checkpoint FILE".to_owned(),
        );
    } else if evidence.keys.is_empty() {
        unchecked.push("who signed the checkpoints. Give the pinned key: --key VKEY".to_owned());
    } else if !evidence.keys_are_pinned {
        unchecked
            .push("whose key it is: it came with the export. Give the one that you pinned: --key @FILE".to_owned());
    }
    if !checkpoints.is_empty() && !checkpoints.iter().any(|(_, named)| *named) {
        unchecked.push("whether the log was rewritten before this export. Give a checkpoint that you kept elsewhere: --checkpoint FILE".to_owned());
    }
    let signed = checkpoints.iter().map(|(checkpoint, _)| checkpoint.size).max();
    if let Some(after) = signed.and_then(|signed| head.seq.checked_sub(signed)).filter(|&after| after > 0) {
        unchecked.push(format!("the end: {after} entries are newer than every checkpoint"));
    }
    unchecked
}
