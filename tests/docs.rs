//! Every name in every document exists: links, anchors, files, tests, commands, settings and log events.
//!
//! A failure lists all wrong names at once, each with its file and line. The checks themselves are tested at the end of this file,
//! each on a small page with one planted error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Pages that are not below `docs`.
const FRONT_PAGES: &[&str] = &["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"];
/// The page that describes every log event.
const EVENTS_PAGE: &str = "docs/operations.md";
/// Folders with files that a page may name.
const SOURCE_FOLDERS: &[&str] =
    &["bench", "crates", "docs", "examples", "fuzz", "simulator", "src", "tests", "tools", ".github", ".ci"];
/// Folders that builds and runs create; they are not part of the repository.
const GENERATED_FOLDERS: &[&str] = &["target", "node_modules", "build"];
/// Endings by which a text in backticks is a file of this repository.
const FILE_ENDINGS: &[&str] =
    &[".rs", ".mjs", ".js", ".md", ".toml", ".json", ".svg", ".py", ".yml", ".yaml", ".ts", ".conf"];
/// Files that pages name and that builds, runs or operators create.
const CREATED_FILES: &[&str] = &["build/index.js", "/_keyward/openapi.json", "/_keyward/jwks.json", "index.js"];
/// Capitals with an underscore in backticks that are no settings of the worker.
const OTHER_VARIABLES: &[&str] = &[
    "CLOUDFLARE_API_TOKEN",
    "KEYWARD_FUZZ_SECONDS",
    "KEYWARD_FUZZ_SEED",
    "KEYWARD_KEEP_NAMES",
    "KEYWARD_LOAD_SECONDS",
    "KEYWARD_REVOCATIONS",
    "KEYWARD_TRY_ALL",
    "PROPTEST_RNG_SEED",
];

/// One Markdown page of the repository.
struct Page {
    path: String,
    text: String,
}

/// What the names of a page are compared with.
#[derive(Default)]
struct Repository {
    /// Paths of all files, from the root.
    files: BTreeSet<String>,
    /// Names of all Rust tests.
    rust_tests: BTreeSet<String>,
    /// The sources of all JavaScript tests, joined.
    javascript_tests: String,
    /// Names of the scripts in `package.json`.
    scripts: BTreeSet<String>,
    /// Names that the sources of the settings contain.
    settings: String,
    /// Anchors of each page.
    anchors: BTreeMap<String, BTreeSet<String>>,
    /// Names of the log events in the sources, each with one place.
    events: BTreeMap<String, String>,
    /// All Rust and JavaScript sources of the product, joined.
    sources: String,
}

// ---- Markdown ----

/// The lines of a page outside code blocks, with their numbers from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// The texts between two of these marks.
fn between(line: &str, mark: char) -> impl Iterator<Item = &str> {
    let parts: Vec<&str> = line.split(mark).collect();
    // The last part is after the last mark, so it is outside; an odd mark at the end opens nothing.
    let closed = parts.len() - 1 - (parts.len() - 1) % 2;
    (1..closed).step_by(2).map(move |at| parts[at]).collect::<Vec<_>>().into_iter()
}

/// A line without the texts in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// The targets of the links of a line.
fn links(line: &str) -> Vec<String> {
    let line = without_code(line);
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(|target| target.trim().to_owned()).collect()
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let mut anchor = String::new();
    for letter in heading.trim().to_lowercase().chars() {
        if letter == ' ' || letter == '-' {
            anchor.push('-');
        } else if letter.is_alphanumeric() || letter == '_' {
            anchor.push(letter);
        }
    }
    anchor
}

/// The anchors of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| line.strip_prefix('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#'))).collect()
}

/// The path that a link leads to, from the root; `None` if it leaves the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The cells of a row of a table, without the empty ends.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// Lines of the tables whose last column has this heading, with the text of that column.
fn column(text: &str, is_heading: impl Fn(&str) -> bool) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut chosen = None;
    let mut in_table = false;
    for (number, line) in prose(text) {
        let Some(row) = cells(line) else {
            in_table = false;
            chosen = None;
            continue;
        };
        if !in_table {
            in_table = true;
            chosen = row.last().filter(|heading| is_heading(heading)).map(|_| row.len() - 1);
        } else if let Some(cell) = chosen.and_then(|at| row.get(at)) {
            found.push((number, *cell));
        }
    }
    found
}

// ---- The checks: each returns one line for each wrong name ----

fn broken_links(page: &Page, repository: &Repository) -> Vec<String> {
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
                wrong.push(format!("{}:{number}: the link {target} leads to no file", page.path));
            } else if let Some(anchor) = anchor
                && !repository.anchors.get(&path).is_some_and(|anchors| anchors.contains(anchor))
            {
                wrong.push(format!("{}:{number}: the link {target} leads to no heading", page.path));
            }
        }
    }
    wrong
}

/// Whether a text in backticks is the name of a file.
fn is_file_name(text: &str) -> bool {
    let is_path = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter));
    is_path && FILE_ENDINGS.iter().any(|ending| text.len() > ending.len() && text.ends_with(ending))
}

/// Whether the repository has a file of this path; a page may leave out the folders at its beginning.
fn has_file(repository: &Repository, name: &str) -> bool {
    let name = name.trim_start_matches("./");
    let ending = format!("/{name}");
    repository.files.iter().any(|file| file == name || file.ends_with(&ending))
}

fn missing_files(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in prose(&page.text) {
        for text in between(line, '`') {
            if is_file_name(text) && !CREATED_FILES.contains(&text) && !has_file(repository, text) {
                wrong.push(format!("{}:{number}: there is no file {text}", page.path));
            }
        }
    }
    wrong
}

/// Names of tests in the columns that say which test shows a promise.
fn missing_tests(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, cell) in column(&page.text, |heading| heading == "test" || heading == "tests") {
        for text in between(cell, '`') {
            let is_test = !cell.contains(&format!("fuzz target `{text}`"))
                && text.contains('_')
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if is_test && !repository.rust_tests.contains(text) {
                wrong.push(format!("{}:{number}: there is no Rust test {text}", page.path));
            }
        }
        for sentence in between(cell, '"') {
            if !repository.javascript_tests.contains(sentence) {
                wrong.push(format!("{}:{number}: there is no JavaScript test \"{sentence}\"", page.path));
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

/// Rows of promise tables without a test. A row may say "no test" and why.
fn rows_without_a_test(page: &Page) -> Vec<String> {
    let rows = column(&page.text, |heading| heading == "test" || heading == "tests");
    let untested =
        rows.into_iter().filter(|(_, cell)| !cell.contains('`') && !cell.contains('"') && !cell.contains("no test"));
    untested
        .filter(|(_, cell)| !cell.starts_with("---"))
        .map(|(number, cell)| format!("{}:{number}: a promise without a test: {cell}", page.path))
        .collect()
}

fn missing_scripts(page: &Page, repository: &Repository) -> Vec<String> {
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

/// Whether a text in backticks has the form of a setting: capitals and underscores.
fn is_setting(text: &str) -> bool {
    let is_name = text.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    is_name && text.contains('_') && text.starts_with(|first: char| first.is_ascii_uppercase())
}

fn unknown_settings(page: &Page, repository: &Repository) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in prose(&page.text) {
        for text in between(line, '`') {
            let name = text.split([' ', '=']).next().unwrap_or_default();
            // Constants of the code have the same form, and a page may name them.
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

/// Whether a source defines this constant, or binds a name of the platform to it.
fn is_constant(sources: &str, name: &str) -> bool {
    [format!("const {name}:"), format!("const {name} ="), format!("binding = \"{name}\"")]
        .iter()
        .any(|text| sources.contains(text))
}

/// The events in the first column of the page's tables whose first heading is "event".
fn documented_events(text: &str) -> BTreeMap<String, usize> {
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

fn wrong_events(page: &Page, repository: &Repository) -> Vec<String> {
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

/// Pages that comments and configurations name.
fn missing_pages(path: &str, text: &str, repository: &Repository) -> Vec<String> {
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

// ---- Reading the repository ----

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below a folder, as paths from the root.
fn files_below(folder: PathBuf, files: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(&folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !GENERATED_FOLDERS.contains(&name) {
                files_below(path, files);
            }
        } else {
            let relative = path.strip_prefix(root()).expect("a path below the root");
            files.insert(relative.to_str().expect("a path in UTF-8").replace('\\', "/"));
        }
    }
}

/// Names of the functions after `#[test]`, other attributes between them included.
fn rust_tests(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in source.split("#[test]").skip(1) {
        let Some(name) = rest.split("fn ").nth(1) else { continue };
        names.push(name.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect());
    }
    names
}

/// Names of the events that a source logs: the first literal argument of a call that writes to the log.
fn logged_events(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for call in ["event(", "log(", "note(", "fault("] {
        for rest in source.split(call).skip(1) {
            let literal =
                rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || "_:, \n.&".contains(letter));
            let Some(name) = literal.strip_prefix('"').and_then(|literal| literal.split('"').next()) else { continue };
            if name.contains(|letter: char| letter != '_' && !letter.is_ascii_lowercase()) || name.is_empty() {
                continue;
            }
            names.push(name.to_owned());
        }
    }
    names
}

/// A source without its unit tests, which stand at its end.
fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

fn repository() -> (Repository, Vec<Page>) {
    let mut repository = Repository::default();
    for folder in SOURCE_FOLDERS {
        files_below(root().join(folder), &mut repository.files);
    }
    for entry in fs::read_dir(root()).expect("the root") {
        let path = entry.expect("an entry of the root").path();
        if path.is_file() {
            repository.files.insert(path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned());
        }
    }
    for file in &repository.files {
        let is_product = file.contains("src/") && !file.ends_with("tests.rs") && !file.starts_with("bench/");
        if file.ends_with(".rs") {
            let source = read(file);
            repository.rust_tests.extend(rust_tests(&source));
            if is_product {
                let product = without_tests(&source);
                repository.events.extend(logged_events(product).into_iter().map(|name| (name, file.clone())));
                repository.sources.push_str(product);
            }
            if file.starts_with("crates/config/src/") {
                repository.settings.push_str(without_tests(&source));
            }
        } else if (file.starts_with("src/") && file.ends_with(".js"))
            || file.ends_with("build.mjs")
            || file == "wrangler.toml"
        {
            repository.sources.push_str(&read(file));
        } else if file.ends_with(".test.mjs") || file.starts_with("tests/edge/hostile/") {
            repository.javascript_tests.push_str(&read(file));
        }
    }
    let package = read("package.json");
    let scripts = package.split("\"scripts\": {").nth(1).and_then(|rest| rest.split('}').next()).expect("the scripts");
    repository.scripts = scripts
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect();

    let is_page =
        |file: &&String| file.ends_with(".md") && (file.starts_with("docs/") || FRONT_PAGES.contains(&file.as_str()));
    let pages: Vec<Page> =
        repository.files.iter().filter(is_page).map(|file| Page { path: file.clone(), text: read(file) }).collect();
    repository.anchors = pages.iter().map(|page| (page.path.clone(), anchors(&page.text))).collect();
    (repository, pages)
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong names:\n{}\n", wrong.len(), wrong.join("\n"));
}

fn check(what: impl Fn(&Page, &Repository) -> Vec<String>) {
    let (repository, pages) = repository();
    assert!(pages.len() > 30, "only {} pages were found", pages.len());
    report(&pages.iter().flat_map(|page| what(page, &repository)).collect::<Vec<_>>());
}

// ---- The documents ----

#[test]
fn every_link_and_anchor_exists() {
    check(broken_links);
}

#[test]
fn every_file_in_backticks_exists() {
    check(missing_files);
}

#[test]
fn every_test_in_the_promise_tables_exists() {
    check(missing_tests);
}

#[test]
fn every_promise_names_a_test_or_says_why_there_is_none() {
    check(|page, _| rows_without_a_test(page));
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
        "{named} Rust tests and {sentences} sentences: has the form of the tables changed?"
    );
}

#[test]
fn every_npm_script_exists() {
    check(missing_scripts);
}

#[test]
fn every_setting_in_backticks_exists() {
    check(unknown_settings);
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
        endings.iter().any(|ending| file.ends_with(ending)) && !file.contains("lock") && *file != "tests/docs.rs"
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

// ---- The checks find a planted error ----

mod checks {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "docs/guides/a.md".into(), text: text.into() }
    }

    /// A small repository in which all names of the pages below exist, but for those planted.
    fn small() -> Repository {
        Repository {
            files: ["docs/guides/a.md", "docs/b.md", "crates/key/src/id.rs", "fuzz/targets/path.rs"]
                .map(str::to_owned)
                .into(),
            rust_tests: ["a_key_ends".to_owned()].into(),
            javascript_tests: "test(\"a key is refused\")".into(),
            scripts: ["bench", "start", "test"].map(str::to_owned).into(),
            settings: "\"KEY_PREFIX\"".into(),
            anchors: [("docs/b.md".to_owned(), anchors("# B\n\n## Two words, one comma"))].into(),
            events: [("kv_failed".to_owned(), "crates/edge/src/record.rs".to_owned())].into(),
            sources: "const LONGEST_TARGET: usize = 1; log(\"kv_failed\")".into(),
        }
    }

    #[test]
    fn a_broken_link_is_found() {
        let good = page(
            "See [b](../b.md#two-words-one-comma), [c](https://a.example/x) and `[d](none.md)`.\n```\n[e](none.md)\n```",
        );
        assert_eq!(broken_links(&good, &small()), Vec::<String>::new());
        let bad = page("\n[b](../b.md#two)\n[c](b.md)\n[d](../../../b.md)");
        let found = broken_links(&bad, &small());
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "docs/guides/a.md:2: the link ../b.md#two leads to no heading");
    }

    #[test]
    fn a_missing_file_is_found() {
        assert_eq!(
            missing_files(&page("`crates/key/src/id.rs`, `id.rs`, `*.rs` and `a b.rs`"), &small()),
            Vec::<String>::new()
        );
        let found = missing_files(&page("`key/src/ids.rs` and `d.rs`"), &small());
        assert_eq!(
            found,
            ["docs/guides/a.md:1: there is no file key/src/ids.rs", "docs/guides/a.md:1: there is no file d.rs"]
        );
    }

    #[test]
    fn a_missing_test_is_found() {
        let table = |test: &str| page(&format!("| promise | code | tests |\n|---|---|---|\n| a | `id.rs` | {test} |"));
        assert_eq!(
            missing_tests(&table("`a_key_ends`, \"a key is refused\", fuzz target `path`"), &small()),
            Vec::<String>::new()
        );
        let found = missing_tests(&table("`a_key_begins`, \"a key is taken\", fuzz target `paths`"), &small());
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "docs/guides/a.md:3: there is no Rust test a_key_begins");
        let other = page("| a | b |\n|---|---|\n| x | `not_a_test` |");
        assert_eq!(missing_tests(&other, &small()), Vec::<String>::new());
    }

    #[test]
    fn a_promise_without_a_test_is_found() {
        let table = |test: &str| page(&format!("| promise | tests |\n|---|---|\n| a | {test} |"));
        assert_eq!(rows_without_a_test(&table("`a_key_ends`")), Vec::<String>::new());
        assert_eq!(rows_without_a_test(&table("no test: the platform does it")), Vec::<String>::new());
        assert_eq!(rows_without_a_test(&table("–")).len(), 1);
    }

    #[test]
    fn a_missing_script_is_found() {
        assert_eq!(
            missing_scripts(&page("```sh\nnpm run bench\nnpm test -- fmt\nnpm ci\n```"), &small()),
            Vec::<String>::new()
        );
        assert_eq!(
            missing_scripts(&page("`npm run benches`"), &small()),
            ["docs/guides/a.md:1: package.json has no script benches"]
        );
    }

    #[test]
    fn an_unknown_setting_is_found() {
        assert_eq!(
            unknown_settings(&page("`KEY_PREFIX`, `KEY_PREFIX = \"x\"`, `LONGEST_TARGET`, `JSON`"), &small()),
            Vec::<String>::new()
        );
        assert_eq!(
            unknown_settings(&page("`KEY_PREFIXES`"), &small()),
            ["docs/guides/a.md:1: crates/config knows no setting KEY_PREFIXES"]
        );
    }

    #[test]
    fn an_event_that_is_not_documented_or_not_logged_is_found() {
        let table = |name: &str| page(&format!("| event | meaning |\n|---|---|\n| `{name}` | x |"));
        assert_eq!(wrong_events(&table("kv_failed"), &small()), Vec::<String>::new());
        let found = wrong_events(&table("kv_fails"), &small());
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "docs/guides/a.md:3: no source logs the event kv_fails");
    }

    #[test]
    fn a_missing_page_is_found() {
        assert_eq!(missing_pages("src/lib.rs", "//! See docs/b.md.", &small()), Vec::<String>::new());
        assert_eq!(
            missing_pages("src/lib.rs", "//! See docs/B.md.", &small()),
            ["src/lib.rs:1: there is no page docs/B.md"]
        );
    }

    #[test]
    fn names_are_read_from_sources() {
        assert_eq!(rust_tests("#[test]\n#[ignore = \"slow\"]\n    fn a_key_ends() {}"), ["a_key_ends"]);
        let source =
            "event(\n    Level::Warn,\n    \"kv_failed\", &[]); self.fault(\"entropy_failed\"); log(level, name)";
        assert_eq!(logged_events(source), ["kv_failed", "entropy_failed"]);
    }
}
