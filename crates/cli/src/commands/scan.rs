//! `keyward scan`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use keyward_key::id::Prefix;

use crate::api::{Address, Client, Deployment};
use crate::failure::{Exit, Failure};
use crate::output::{Format, Output, OutputArgs, confirm};
use crate::profile::{ConnectionArgs, Profiles};
use crate::scan::baseline::Baseline;
use crate::scan::needles::Needles;
use crate::scan::rules::{Scanner as OtherScanner, rule};
use crate::scan::stream::Scanner;
use crate::scan::{Finding, Findings, Place, files, git, report, revoke, sarif};

/// Prefix of a deployment that names none.
const DEFAULT_PREFIX: &str = "wafl";

/// Form of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportForm {
    #[default]
    Text,
    Json,
    Sarif,
}

/// Arguments of `scan`.
#[derive(Args)]
#[command(after_help = "\
A finding has the prefix, the form and the check of a key: it is a key, and nothing is asked
over the network. Only its id is shown. Texts in compressed or encrypted files, and in base64,
are not found. Exit code 10: keys were found that the baseline does not have.

Examples:
  keyward scan
  keyward scan src config .env
  keyward scan --staged
  keyward scan --git
  kubectl logs deploy/api | keyward scan -
  keyward scan --output sarif > keyward.sarif
  keyward scan --write-baseline .keyward-baseline.json
  keyward scan --revoke --url https://keys.example.com
  keyward scan --rule gitleaks >> .gitleaks.toml")]
pub struct ScanArgs {
    /// Files and folders; - is standard input. Without one, this folder
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Every object of the git repository, also those in no branch
    #[arg(long, conflicts_with_all = ["staged", "no_ignore"])]
    git: bool,
    /// What is staged for the next commit: for a pre-commit hook
    #[arg(long, conflicts_with = "no_ignore")]
    staged: bool,
    /// Also read files that .gitignore and .ignore name
    #[arg(long)]
    no_ignore: bool,
    /// Prefix of the keys; repeat for several. By default those of your profiles, and wafl
    #[arg(long = "prefix", value_name = "TEXT", value_parser = prefix)]
    prefixes: Vec<Prefix>,
    /// Form of the report: text, json or sarif
    #[arg(long, value_enum, default_value_t, value_name = "FORM", hide_possible_values = true)]
    output: ReportForm,
    /// Keys in this file are known: they are no findings
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write every key that was found, and those of --baseline, to this file
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Revoke every key that was found at the deployment. Asks first
    #[arg(long)]
    revoke: bool,
    /// Do not ask before --revoke
    #[arg(long, short, requires = "revoke")]
    yes: bool,
    /// Print the rule for another scanner instead: gitleaks, trufflehog or github
    #[arg(long, value_enum, value_name = "SCANNER", hide_possible_values = true)]
    #[arg(conflicts_with_all = ["paths", "git", "staged", "revoke"])]
    rule: Option<OtherScanner>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::parse(text).ok_or_else(|| "A prefix has 2 to 8 of a-z.".to_owned())
}

/// Scans, reports, and revokes if asked.
///
/// # Errors
/// [`Failure`] with exit code 10 if keys were found, or if something could not be read.
pub fn run(args: &ScanArgs) -> Result<(), Failure> {
    let prefixes = prefixes(args);
    if let Some(scanner) = args.rule {
        let output = Output::new(OutputArgs::default());
        return prefixes.iter().try_for_each(|prefix| output.line(rule(scanner, prefix).trim_end()));
    }
    let known = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let needles = Needles::new(&prefixes)?;
    let mut findings = scan(args, &needles)?;
    if let Some(path) = &args.write_baseline {
        let mut baseline = Baseline::of(&findings.found);
        known.into_iter().for_each(|known| baseline.extend(known));
        baseline.write(path)?;
        Output::new(OutputArgs::default()).say(&format!("{} has {} keys.", path.display(), baseline.count()));
        return unread(&findings);
    }
    if let Some(known) = &known {
        findings.found.retain(|finding| !known.accepts(finding));
    }
    show(args, &findings)?;
    if args.revoke && !findings.found.is_empty() {
        revoke_found(args, &findings.found)?;
    }
    if findings.found.is_empty() { unread(&findings) } else { Err(Failure::differs()) }
}

/// Returns the prefixes to search for: those that are named, or those of the profiles and the default one.
fn prefixes(args: &ScanArgs) -> Vec<Prefix> {
    if !args.prefixes.is_empty() {
        return args.prefixes.clone();
    }
    let profiles = Profiles::load().unwrap_or_default();
    let stored = profiles.profile.values().filter_map(|profile| Prefix::parse(profile.prefix()?));
    let mut prefixes: Vec<Prefix> = Prefix::parse(DEFAULT_PREFIX).into_iter().chain(stored).collect();
    prefixes.dedup();
    prefixes
}

fn scan(args: &ScanArgs, needles: &Needles) -> Result<Findings, Failure> {
    let here = [PathBuf::from(".")];
    let folders = if args.paths.is_empty() { &here[..] } else { &args.paths };
    if args.git || args.staged {
        let mut findings = Findings::default();
        for folder in folders {
            findings.merge(if args.git { git::scan_all(needles, folder)? } else { git::scan_staged(needles, folder)? });
        }
        return Ok(findings);
    }
    let is_stdin = |path: &&PathBuf| path.as_path() == Path::new("-");
    let paths: Vec<PathBuf> = folders.iter().filter(|path| !is_stdin(path)).cloned().collect();
    let mut findings =
        if paths.is_empty() { Findings::default() } else { files::scan(needles, &paths, args.no_ignore) };
    if folders.iter().any(|path| is_stdin(&path)) {
        findings.merge(scan_stdin(needles)?);
    }
    Ok(findings)
}

fn scan_stdin(needles: &Needles) -> Result<Findings, Failure> {
    let mut findings = Findings { read: 1, ..Findings::default() };
    let outcome = Scanner::new(needles).scan(io::stdin().lock(), |found| {
        let path = "standard input".to_owned();
        let place = Place { path, object: None, line: found.line, column: found.column, remark: None };
        findings.found.push(Finding { id: found.hit.id, is_member: found.hit.is_member, place, key: found.hit.key });
    });
    outcome.map_err(|error| Failure::failed(format!("Reading standard input failed: {error}.")))?;
    Ok(findings)
}

fn show(args: &ScanArgs, findings: &Findings) -> Result<(), Failure> {
    let format = if args.output == ReportForm::Text { Format::Text } else { Format::Json };
    let output = Output::new(OutputArgs { output: format });
    match args.output {
        ReportForm::Json => return output.json(&report::document(findings)),
        ReportForm::Sarif => return output.json(&sarif::document(findings)),
        ReportForm::Text => {}
    }
    for finding in &findings.found {
        output.line(&crate::output::printable(&report::line(finding)))?;
    }
    let keys = revoke::distinct(&findings.found).len();
    let plural = |count: u64, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let what = if args.git { "git object" } else { "file" };
    let keys = u64::try_from(keys).unwrap_or(u64::MAX);
    output.say(&format!("{} in {}.", plural(keys, "key"), plural(findings.read, what)));
    Ok(())
}

fn revoke_found(args: &ScanArgs, found: &[Finding]) -> Result<(), Failure> {
    let output = Output::new(OutputArgs::default());
    let address: Address = Deployment::find(&args.connection)?.address;
    let keys = revoke::distinct(found);
    let names: Vec<&str> = keys.iter().map(|finding| finding.id.as_str()).collect();
    if !args.yes && !confirm(&format!("Revoke {} at {address} for good?", names.join(", ")), "--yes")? {
        return Err(Failure::new(Exit::Differs, "Nothing was revoked."));
    }
    let client = Client::new(address, None);
    revoke::revoke(&client, &keys, |finding| {
        output.say(&format!("{} was sent to {}: it is revoked if it was made there.", finding.id, client.address()));
    })
}

/// A scan that did not read everything must not look clean.
fn unread(findings: &Findings) -> Result<(), Failure> {
    let Some(first) = findings.unread.first() else { return Ok(()) };
    Err(Failure::failed(format!("{} files were not read. The first: {first}.", findings.unread.len()))
        .next("Name the files that you want to scan, or make them readable."))
}
