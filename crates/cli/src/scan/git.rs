//! Git: every object of a repository, reachable or not, and the staged change.
//!
//! `git cat-file --batch-all-objects` also lists what an amended commit, a deleted branch or a dropped stash left behind, which
//! `git log -p --all` does not show.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use super::needles::Needles;
use super::stream::Scanner;
use super::{Finding, Findings, Place};
use crate::failure::Failure;

/// Maximum number of objects whose commit is looked up, because git reads the history once for each.
const LOCATED_OBJECTS: usize = 50;

/// Runs git in a folder. Nothing is fetched, and no setting of the repository runs a program.
fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["--no-optional-locks", "-c", "core.fsmonitor=false"]).args(arguments);
    command.env("GIT_NO_LAZY_FETCH", "1").env("LC_ALL", "C").env_remove(crate::credential::VARIABLE);
    command.stdin(Stdio::null());
    command
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::failed(format!("git could not be started: {error}.")).next("Install git.")
}

/// Returns the output of a short git command.
fn output(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = git(folder, arguments).output().map_err(|error| cannot_start(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::failed(format!("git failed: {message}")).next("Run it in a git repository, or name one."))
}

/// Scans every object of the repository at `folder`.
///
/// # Errors
/// [`Failure`] if git fails.
pub fn scan_all(needles: &Needles, folder: &Path) -> Result<Findings, Failure> {
    let arguments = ["cat-file", "--batch-all-objects", "--batch", "--unordered", "--buffer"];
    let child = git(folder, &arguments).stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(&error))?;
    let mut findings = read_objects(needles, child, &HashMap::new())?;
    locate(folder, &mut findings)?;
    findings.sort();
    Ok(findings)
}

/// Scans the content that is staged for the next commit: every file that the commit adds or changes.
///
/// # Errors
/// [`Failure`] if git fails.
pub fn scan_staged(needles: &Needles, folder: &Path) -> Result<Findings, Failure> {
    let arguments =
        ["diff", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--diff-filter=d", "--no-ext-diff"];
    let paths = staged(&output(folder, &arguments)?);
    if paths.is_empty() {
        return Ok(Findings::default());
    }
    let mut command = git(folder, &["cat-file", "--batch", "--buffer"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(&error))?;
    let names: String = paths.keys().map(|object| format!("{object}\n")).collect();
    if let Some(mut stdin) = child.stdin.take() {
        // In a thread: git may wait for its output to be read before it reads on.
        thread::spawn(move || stdin.write_all(names.as_bytes()));
    }
    let mut findings = read_objects(needles, child, &paths)?;
    findings.sort();
    Ok(findings)
}

/// Parses `git diff --raw -z`: object and path of each changed file. A submodule has no content here.
fn staged(raw: &str) -> HashMap<String, String> {
    let mut parts = raw.split('\0');
    let mut paths = HashMap::new();
    while let (Some(facts), Some(path)) = (parts.next(), parts.next()) {
        let mut words = facts.split(' ');
        let (mode, object) = (words.nth(1), words.nth(1));
        if let (Some(mode), Some(object)) = (mode, object)
            && mode != "160000"
        {
            paths.insert(object.to_owned(), path.to_owned());
        }
    }
    paths
}

/// Reads the output of `git cat-file --batch`: for each object a line with name, kind and size, the content, and a line feed.
fn read_objects(needles: &Needles, mut child: Child, paths: &HashMap<String, String>) -> Result<Findings, Failure> {
    let Some(stdout) = child.stdout.take() else { return Err(Failure::failed("git has no output.")) };
    let outcome = read_batch(needles, BufReader::with_capacity(1 << 20, stdout), paths);
    let status = child.wait().map_err(|error| cannot_start(&error))?;
    let findings = outcome.map_err(|error| Failure::failed(format!("Reading git's output failed: {error}.")))?;
    if !status.success() {
        return Err(Failure::failed(format!("git cat-file ended with {status}: the scan is incomplete.")));
    }
    Ok(findings)
}

fn read_batch(
    needles: &Needles,
    mut stdout: BufReader<ChildStdout>,
    paths: &HashMap<String, String>,
) -> std::io::Result<Findings> {
    let (mut findings, mut scanner) = (Findings::default(), Scanner::new(needles));
    let mut header = String::new();
    loop {
        header.clear();
        if stdout.read_line(&mut header)? == 0 {
            return Ok(findings);
        }
        let mut words = header.split_whitespace();
        let (object, kind) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let Some(size) = words.next().and_then(|size| size.parse::<u64>().ok()) else {
            // "<object> missing": a partial clone does not have it.
            findings.unread.push(format!("git object {object}: {kind}"));
            continue;
        };
        findings.read = findings.read.saturating_add(1);
        let mut content = stdout.by_ref().take(size);
        scanner.scan(&mut content, |found| {
            let place = Place {
                path: paths.get(&object).cloned().unwrap_or_default(),
                object: Some(object.clone()),
                line: found.line,
                column: found.column,
                remark: (kind != "blob").then(|| kind.clone()),
            };
            findings.found.push(Finding {
                id: found.hit.id,
                is_member: found.hit.is_member,
                place,
                key: found.hit.key,
            });
        })?;
        if content.limit() > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        stdout.read_exact(&mut [0; 1])?;
    }
}

/// Adds paths and commits to findings in the repository's objects.
fn locate(folder: &Path, findings: &mut Findings) -> Result<(), Failure> {
    if findings.found.is_empty() {
        return Ok(());
    }
    let listed = output(folder, &["rev-list", "--objects", "--all", "--reflog"])?;
    let reachable: HashMap<&str, &str> =
        listed.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    let mut commits: HashMap<String, Option<String>> = HashMap::new();
    for finding in &mut findings.found {
        let Some(object) = finding.place.object.clone() else { continue };
        let kind = finding.place.remark.take();
        let Some(path) = reachable.get(object.as_str()) else {
            finding.place.remark =
                Some(format!("{}in no branch or tag", kind.map(|kind| format!("{kind}, ")).unwrap_or_default()));
            continue;
        };
        finding.place.path = (*path).to_owned();
        let located = commits.len();
        finding.place.remark = match kind {
            Some(kind) => Some(kind),
            None if located < LOCATED_OBJECTS || commits.contains_key(&object) => {
                commits.entry(object.clone()).or_insert_with(|| commit_of(folder, &object)).clone()
            }
            None => None,
        };
    }
    Ok(())
}

/// Returns the first commit that added an object.
fn commit_of(folder: &Path, object: &str) -> Option<String> {
    let find = format!("--find-object={object}");
    let arguments = ["log", "--all", "--reflog", "--no-ext-diff", "--format=commit %h of %cs", &find];
    let commits = output(folder, &arguments).ok()?;
    commits.lines().last().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_staged_objects_are_read_from_raw_output_and_submodules_left_out() {
        let raw = format!(
            ":000000 100644 {zero} {a} A\0new file.txt\0:100644 100755 {b} {c} M\0run.sh\0:160000 160000 {a} {b} M\0module\0",
            zero = "0".repeat(40),
            a = "a".repeat(40),
            b = "b".repeat(40),
            c = "c".repeat(40)
        );
        let paths = staged(&raw);
        assert_eq!(paths.len(), 2);
        assert_eq!((paths[&"a".repeat(40)].as_str(), paths[&"c".repeat(40)].as_str()), ("new file.txt", "run.sh"));
    }
}
