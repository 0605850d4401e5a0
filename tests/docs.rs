//! Every name in every document exists: links, anchors, files, tests, commands, settings and log events.
//!
//! A failure lists all wrong names at once, each with its file and line. `docs/checks.rs` has the checks, and
//! `docs/planted.rs` tests each of them on a small page with a planted error.

#[path = "docs/checks.rs"]
mod checks;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/planted.rs"]
mod planted;
#[path = "docs/repository.rs"]
mod repository;

use std::collections::BTreeSet;

use checks::*;
use markdown::{between, column, links, prose, resolve};
use repository::{Page, Repository, read, repository};

/// The page that describes every log event.
const EVENTS_PAGE: &str = "docs/operations.md";

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong names:\n{}\n", wrong.len(), wrong.join("\n"));
}

fn check_pages(find_wrong: impl Fn(&Page, &Repository) -> Vec<String>) {
    let (repository, pages) = repository();
    assert!(pages.len() > 30, "only {} pages were found", pages.len());
    report(&pages.iter().flat_map(|page| find_wrong(page, &repository)).collect::<Vec<_>>());
}

#[test]
fn every_link_and_anchor_exists() {
    check_pages(broken_links);
}

#[test]
fn every_file_in_backticks_exists() {
    check_pages(missing_files);
}

#[test]
fn every_test_in_the_promise_tables_exists() {
    check_pages(missing_tests);
}

#[test]
fn every_promise_names_a_test_or_says_why_there_is_none() {
    check_pages(|page, _| rows_without_a_test(page));
}

#[test]
fn the_promise_tables_name_many_tests() {
    let (repository, pages) = repository();
    let text: Vec<&str> = pages
        .iter()
        .flat_map(|page| column(&page.text, |heading| heading.starts_with("test")))
        .map(|(_, cell)| cell)
        .collect();
    let named =
        repository.rust_tests.iter().filter(|name| text.iter().any(|cell| cell.contains(&format!("`{name}`")))).count();
    let sentences = text.iter().flat_map(|cell| between(cell, '"')).count();
    assert!(
        named > 60 && sentences > 30,
        "{named} Rust tests and {sentences} sentences; the tables may have a new form"
    );
}

#[test]
fn every_npm_script_exists() {
    check_pages(missing_scripts);
}

#[test]
fn every_setting_in_backticks_exists() {
    check_pages(unknown_settings);
}

#[test]
fn every_log_event_is_documented_and_every_documented_event_is_logged() {
    let (repository, pages) = repository();
    let page = pages.iter().find(|page| page.path == EVENTS_PAGE).expect("the page of the log events");
    assert!(repository.events.len() > 15, "only {} events were found in the sources", repository.events.len());
    report(&wrong_events(page, &repository));
}

#[test]
fn every_page_that_a_source_names_exists() {
    let (repository, pages) = repository();
    let endings = [".rs", ".mjs", ".js", ".toml", ".py", ".yml", ".yaml", ".json", ".conf"];
    let is_source = |file: &&String| {
        endings.iter().any(|ending| file.ends_with(ending)) && !file.contains("lock") && !file.starts_with("tests/docs")
    };
    let mut wrong: Vec<String> = repository
        .files
        .iter()
        .filter(is_source)
        .flat_map(|file| missing_pages(file, &read(file), &repository))
        .collect();
    wrong.extend(pages.iter().flat_map(|page| missing_pages(&page.path, &page.text, &repository)));
    report(&wrong);
}

#[test]
fn every_page_of_the_documents_is_linked_from_another_page() {
    let (_, pages) = repository();
    let mut linked = BTreeSet::new();
    for page in &pages {
        for (_, line) in prose(&page.text) {
            let targets = links(line).into_iter().filter_map(|target| resolve(&page.path, target.split('#').next()?));
            linked.extend(targets.filter(|target| *target != page.path));
        }
    }
    let unlinked = pages.iter().filter(|page| page.path.starts_with("docs/") && !linked.contains(&page.path));
    report(&unlinked.map(|page| format!("{}: no other page links to it", page.path)).collect::<Vec<_>>());
}
