//! Files and folders, in parallel.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::needles::Needles;
use super::stream::Scanner;
use super::{Finding, Findings, Place};

/// Scans files and folders. `.gitignore` and `.ignore` are respected unless `all` is set. Hidden files are read, git's own folders are not.
/// Links are not followed, except those that are named.
#[must_use]
pub fn scan(needles: &Needles, paths: &[PathBuf], all: bool) -> Findings {
    let mut builder = match paths.split_first() {
        Some((first, others)) => {
            let mut builder = WalkBuilder::new(first);
            for path in others {
                builder.add(path);
            }
            builder
        }
        None => WalkBuilder::new("."),
    };
    builder.standard_filters(!all).hidden(false).filter_entry(|entry| entry.file_name() != ".git");
    let (sender, receiver) = mpsc::channel();
    builder.build_parallel().run(|| {
        let (mut scanner, sender) = (Scanner::new(needles), sender.clone());
        Box::new(move |entry| {
            let part = match entry {
                Ok(entry) if is_file(&entry) => scan_file(&mut scanner, entry.path()),
                Ok(_) => return WalkState::Continue,
                Err(error) => Findings { unread: vec![error.to_string()], ..Findings::default() },
            };
            // The receiver outlives the walk.
            let _ = sender.send(part);
            WalkState::Continue
        })
    });
    drop(sender);
    let mut findings = Findings::default();
    receiver.into_iter().for_each(|part| findings.merge(part));
    findings.sort();
    findings
}

/// Whether the entry is a regular file, or a named link to one. A pipe or device could be endless.
fn is_file(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Some(kind) if kind.is_symlink() => entry.depth() == 0 && entry.path().is_file(),
        Some(kind) => kind.is_file(),
        None => false,
    }
}

fn scan_file(scanner: &mut Scanner<'_>, path: &Path) -> Findings {
    let mut findings = Findings { read: 1, ..Findings::default() };
    let shown = path.strip_prefix("./").unwrap_or(path).display().to_string();
    let outcome = File::open(path).and_then(|file| {
        scanner.scan(file, |found| {
            let place =
                Place { path: shown.clone(), object: None, line: found.line, column: found.column, remark: None };
            findings.found.push(Finding {
                id: found.hit.id,
                is_member: found.hit.is_member,
                place,
                key: found.hit.key,
            });
        })
    });
    if let Err(error) = outcome {
        findings.unread.push(format!("{shown}: {error}"));
    }
    findings
}
