//! `keyward audit export`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use super::{CHECKPOINT, KEYS, LOG};
use crate::api::{Request, Session};
use crate::audit::note::read_checkpoint;
use crate::failure::{Exit, Failure};
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Number of connections that may break in a row without a new entry.
const BROKEN_CONNECTIONS: u32 = 5;

/// Arguments of `audit export`.
#[derive(Args)]
#[command(after_help = "\
Into an earlier export only new entries are written, and its checkpoint is kept as
checkpoint-SIZE.txt: verify then also shows that the log continues it.

Examples:
  keyward audit export audit/
  keyward audit export audit/ && keyward audit verify audit/ --key @pinned.vkey")]
pub struct ExportArgs {
    /// Folder
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// Exports the log. The checkpoint comes first: the log has at least as many entries then.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or a file can't be written.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    std::fs::create_dir_all(&args.dir).map_err(|error| cannot_write(&args.dir, &error))?;
    let text = |path: &str| {
        let answer = session.send(&Request::get(path))?;
        String::from_utf8(answer.body.to_vec()).map_err(|_| Failure::failed("The answer is no text."))
    };
    let keys = text("/_keyward/v1/audit/key")?;
    let checkpoint = text("/_keyward/v1/audit/checkpoint")?;
    let size = read_checkpoint("The checkpoint", &checkpoint, &[]).map_err(Failure::failed)?.size;
    write(&args.dir.join(KEYS), &keys)?;
    keep_earlier(&args.dir)?;
    write(&args.dir.join(CHECKPOINT), &checkpoint)?;

    let path = args.dir.join(LOG);
    let before = last_number(&path)?;
    let bar = progress(size, before);
    let after = download(&session, &path, before, &bar)?;
    bar.finish_and_clear();
    let new = after.saturating_sub(before);
    if output.is_json() {
        return output.json(
            &json!({"entries": after, "new": new, "checkpoint": size, "folder": args.dir.display().to_string()}),
        );
    }
    output.line(&format!("{after} entries in {}, {new} of them new.", path.display()))?;
    output.say(&format!("Verify them: keyward audit verify {}", args.dir.display()));
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} can't be written: {error}.", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

/// Renames the checkpoint of an earlier export, by its size.
fn keep_earlier(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(CHECKPOINT);
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let Ok(earlier) = read_checkpoint("", &text, &[]) else { return Ok(()) };
    let kept = folder.join(format!("checkpoint-{}.txt", earlier.size));
    // One of this size that is kept already stays: it is the older one.
    if kept.exists() { Ok(()) } else { std::fs::rename(&path, &kept).map_err(|error| cannot_write(&kept, &error)) }
}

/// Returns the number of the last entry of an earlier export; 0 if there is none. An incomplete line at the end is removed.
fn last_number(path: &Path) -> Result<u64, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Failure::failed(format!("{} can't be read: {error}.", path.display()))),
    };
    let (mut reader, mut line, mut last, mut complete_bytes) = (BufReader::new(file), Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line).map_err(|error| cannot_write(path, &error))?;
        if count == 0 || !line.ends_with(b"\n") {
            break;
        }
        last = number(&line).ok_or_else(|| Failure::failed(format!("{} is no exported log.", path.display())))?;
        complete_bytes = complete_bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    let shortened = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(complete_bytes));
    shortened.map_err(|error| cannot_write(path, &error))?;
    Ok(last)
}

fn number(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(line).ok().map(|entry| entry.seq)
}

fn progress(size: u64, before: u64) -> ProgressBar {
    let bar = ProgressBar::new(size).with_position(before);
    // The bar is drawn on standard error, and only if it is a terminal.
    match ProgressStyle::with_template("{bar:30} {pos}/{len} entries, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Appends the entries after `before` and returns the number of the last. A connection that breaks is continued.
fn download(session: &Session, path: &Path, before: u64, bar: &ProgressBar) -> Result<u64, Failure> {
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| cannot_write(path, &error))?;
    let mut file = BufWriter::new(file);
    let (mut last, mut broken) = (before, 0);
    loop {
        let url = format!("/_keyward/v1/audit?after={last}");
        let stream = session.client().stream(&url, "application/x-ndjson")?;
        let started_at = last;
        let ended = copy(stream, &mut file, &mut last, bar);
        file.flush().map_err(|error| cannot_write(path, &error))?;
        broken = if last > started_at { 0 } else { broken };
        match ended {
            Ok(()) => return Ok(last),
            Err(Broken::File(error)) => return Err(cannot_write(path, &error)),
            Err(Broken::Connection(error)) if broken >= BROKEN_CONNECTIONS => {
                return Err(Failure::new(
                    Exit::Unavailable,
                    format!("The connection broke after entry {last}: {error}."),
                )
                .next("Run the command again: it continues there."));
            }
            Err(Broken::Connection(_)) => broken = broken.saturating_add(1),
        }
    }
}

enum Broken {
    Connection(std::io::Error),
    File(std::io::Error),
}

/// Copies complete lines. A stream that ends properly has no incomplete one.
fn copy(stream: impl Read, file: &mut impl Write, last: &mut u64, bar: &ProgressBar) -> Result<(), Broken> {
    let (mut reader, mut line) = (BufReader::new(stream), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(Broken::Connection)? == 0 {
            return Ok(());
        }
        let incomplete = || Broken::Connection(std::io::ErrorKind::UnexpectedEof.into());
        *last = number(&line).filter(|_| line.ends_with(b"\n")).ok_or_else(incomplete)?;
        file.write_all(&line).map_err(Broken::File)?;
        bar.set_position(*last);
    }
}
