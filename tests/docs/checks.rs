//! The checks: each returns one line for each wrong name, with its file and line.

use std::collections::{BTreeMap, BTreeSet};

use crate::markdown::{between, cells, column, links, prose, resolve};
use crate::repository::{Page, Repository};

/// Extensions by which a text in backticks counts as a file of this repository.
const FILE_ENDINGS: &[&str] =
    &[".rs", ".mjs", ".js", ".md", ".toml", ".json", ".svg", ".py", ".yml", ".yaml", ".ts", ".conf"];
/// Files that pages name and that builds, runs or operators create.
const CREATED_FILES: &[&str] =
    &["build/index.js", "/_keyward/openapi.json", "/_keyward/jwks.json", "index.js", "release.json"];
/// Names in capitals that are not settings of the worker.
const OTHER_VARIABLES: &[&str] = &[
    "CLIENT_IP_HEADER",
    "CLOUDFLARE_API_TOKEN",
    "KEYWARD_CREDENTIAL",
    "KEYWARD_DATA",
    "KEYWARD_FUZZ_SECONDS",
    "KEYWARD_FUZZ_SEED",
    "KEYWARD_KEEP_NAMES",
    "KEYWARD_KILLS",
    "KEYWARD_LOAD_SECONDS",
    "KEYWARD_PROFILE",
    "KEYWARD_REVOCATIONS",
    "KEYWARD_TRY_ALL",
    "KEYWARD_UPDATE",
    "KEYWARD_URL",
    "LISTEN_CONTROL",
    "LISTEN_GATE",
    "NAME_FILE",
    "NO_COLOR",
    "PROPTEST_RNG_SEED",
    "SSL_CERT_FILE",
    "TRUSTED_PROXIES",
];

pub fn broken_links(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in prose(&page.text) {
        for target in links(line) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) =
                target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let Some(path) = (if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) }) else {
                wrong.push(format!("{}:{number}: the link {target} leaves the repository", page.path));
                continue;
            };
            let is_folder = || {
                repository.files.iter().any(|file| file.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/')))
            };
            if !repository.files.contains(&path) && !is_folder() {
                wrong.push(format!("{}:{number}: the link {target} points to no file", page.path));
            } else if let Some(anchor) = anchor
                && !repository.anchors.get(&path).is_some_and(|anchors| anchors.contains(anchor))
            {
                wrong.push(format!("{}:{number}: the link {target} points to no heading", page.path));
            }
        }
    }
    wrong
}

/// Returns whether a text in backticks is the name of a file.
pub fn is_file_name(text: &str) -> bool {
    let is_path = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter));
    is_path && FILE_ENDINGS.iter().any(|ending| text.len() > ending.len() && text.ends_with(ending))
}

/// Returns whether the repository has a file with this path. A page may omit leading folders.
pub fn has_file(repository: &Repository, name: &str) -> bool {
    let name = name.trim_start_matches("./");
    let ending = format!("/{name}");
    repository.files.iter().any(|file| file == name || file.ends_with(&ending))
}

/// Returns the paths of files with the same name, as a hint.
fn same_name(repository: &Repository, missing: &str) -> String {
    let ending = format!("/{}", missing.rsplit('/').next().unwrap_or_default());
    let found: Vec<&str> = repository.files.iter().filter(|file| file.ends_with(&ending)).map(String::as_str).collect();
    if found.is_empty() { String::new() } else { format!(" (but {})", found.join(", ")) }
}

pub fn missing_files(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in prose(&page.text) {
        for text in between(line, '`') {
            if is_file_name(text) && !CREATED_FILES.contains(&text) && !has_file(repository, text) {
                wrong.push(format!("{}:{number}: there is no file {text}{}", page.path, same_name(repository, text)));
            }
        }
    }
    wrong
}

/// Returns the name that shares the most words with a missing one, as a hint. Empty if none shares a third of them.
fn closest<'a>(missing: &str, names: impl Iterator<Item = &'a str>) -> String {
    let words = |name: &str| -> BTreeSet<String> { name.split(['_', ' ', ',']).map(str::to_lowercase).collect() };
    let sought = words(missing);
    let score = |name: &&str| {
        let (shared, all) = (words(name).intersection(&sought).count(), words(name).union(&sought).count());
        shared * 100 / all.max(1)
    };
    let best = names.max_by_key(score).filter(|name| score(name) > 33);
    best.map(|name| format!(" (perhaps {name})")).unwrap_or_default()
}

/// Returns missing tests in the columns that list the tests of a promise.
pub fn missing_tests(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, cell) in column(&page.text, |heading| heading == "test" || heading == "tests") {
        for text in between(cell, '`') {
            let is_test = !cell.contains(&format!("fuzz target `{text}`"))
                && text.contains('_')
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if is_test && !repository.rust_tests.contains(text) {
                let hint = closest(text, repository.rust_tests.iter().map(String::as_str));
                wrong.push(format!("{}:{number}: there is no Rust test {text}{hint}", page.path));
            }
        }
        for sentence in between(cell, '"') {
            if !repository.javascript_tests.contains(sentence) {
                let hint = closest(sentence, repository.javascript_tests.split(['"', '`']));
                wrong.push(format!("{}:{number}: there is no JavaScript test \"{sentence}\"{hint}", page.path));
            }
        }
        for target in cell.split("fuzz target `").skip(1).filter_map(|rest| rest.split('`').next()) {
            if !repository.files.contains(&format!("fuzz/targets/{target}.rs")) {
                wrong.push(format!("{}:{number}: there is no fuzz target {target}", page.path));
            }
        }
    }
    wrong
}

/// Returns rows of promise tables without a test. A row may contain "no test" and the reason.
pub fn rows_without_a_test(page: &Page) -> Vec<String> {
    let rows = column(&page.text, |heading| heading == "test" || heading == "tests");
    let untested =
        rows.into_iter().filter(|(_, cell)| !cell.contains('`') && !cell.contains('"') && !cell.contains("no test"));
    untested
        .filter(|(_, cell)| !cell.starts_with("---"))
        .map(|(number, cell)| format!("{}:{number}: a promise without a test: {cell}", page.path))
        .collect()
}

pub fn missing_scripts(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    // Commands are in code blocks too.
    for (number, line) in page.text.lines().enumerate() {
        for (command, built_in) in [("npm run ", false), ("npm ", true)] {
            for rest in line.split(command).skip(1) {
                let word: String =
                    rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
                let is_checked = if built_in { ["start", "test"].contains(&word.as_str()) } else { !word.is_empty() };
                if is_checked && !repository.scripts.contains(&word) {
                    wrong.push(format!("{}:{}: package.json has no script {word}", page.path, number + 1));
                }
            }
        }
    }
    wrong
}

/// Returns whether a text in backticks has the form of a setting: capitals and underscores.
pub fn is_setting(text: &str) -> bool {
    let is_name = text.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    is_name && text.contains('_') && text.starts_with(|first: char| first.is_ascii_uppercase())
}

pub fn unknown_settings(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in prose(&page.text) {
        for text in between(line, '`') {
            let name = text.split([' ', '=']).next().unwrap_or_default();
            // A page may name constants of the code, which have the same form.
            let is_known = repository.settings.contains(&format!("\"{name}\""))
                || OTHER_VARIABLES.contains(&name)
                || is_constant(&repository.sources, name);
            if is_setting(name) && !is_known {
                wrong.push(format!("{}:{number}: crates/config knows no setting {name}", page.path));
            }
        }
    }
    wrong
}

/// Returns whether a source defines this constant, or wrangler.toml binds this name.
pub fn is_constant(sources: &str, name: &str) -> bool {
    [format!("const {name}:"), format!("const {name} ="), format!("binding = \"{name}\"")]
        .iter()
        .any(|text| sources.contains(text))
}

/// Returns the events in the first column of tables whose first heading is "event".
pub fn documented_events(text: &str) -> BTreeMap<String, usize> {
    let mut events = BTreeMap::new();
    let mut in_table = false;
    let mut chosen = false;
    for (number, line) in prose(text) {
        let Some(row) = cells(line) else {
            (in_table, chosen) = (false, false);
            continue;
        };
        let first = row.first().copied().unwrap_or_default();
        if !in_table {
            (in_table, chosen) = (true, first == "event");
        } else if chosen {
            events.extend(between(first, '`').map(|name| (name.to_owned(), number)));
        }
    }
    events
}

pub fn wrong_events(page: &Page, repository: &Repository) -> Vec<String> {
    let documented = documented_events(&page.text);
    let in_no_source = |name: &&String| !repository.sources.contains(&format!("\"{name}\""));
    let mut wrong: Vec<String> = documented
        .keys()
        .filter(in_no_source)
        .map(|name| format!("{}:{}: no source logs the event {name}", page.path, documented[name]))
        .collect();
    let missing = repository.events.iter().filter(|(name, _)| !documented.contains_key(*name));
    wrong
        .extend(missing.map(|(name, place)| format!("{}: it does not document the event {name} ({place})", page.path)));
    wrong
}

/// Returns missing pages that comments and configurations name.
pub fn missing_pages(path: &str, text: &str, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for rest in line.split("docs/").skip(1) {
            let rest: String =
                rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(*letter)).collect();
            let name = format!("docs/{}", rest.trim_end_matches('.'));
            if name.ends_with(".md") && !repository.files.contains(&name) {
                wrong.push(format!("{path}:{}: there is no page {name}", number + 1));
            }
        }
    }
    wrong
}
