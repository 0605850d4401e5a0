//! Names in the repository: pages, files, tests, scripts, settings and log events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown::anchors;

/// Pages that are not below `docs`.
const FRONT_PAGES: &[&str] =
    &["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md", "selfhost/README.md"];
/// Folders with files that a page may name.
const SOURCE_FOLDERS: &[&str] = &[
    "bench",
    "console",
    "crates",
    "docs",
    "examples",
    "fuzz",
    "selfhost",
    "simulator",
    "src",
    "tests",
    "tools",
    ".github",
    ".ci",
];
/// Folders that builds and runs create; they are not part of the repository.
const GENERATED_FOLDERS: &[&str] = &["target", "node_modules", "build"];

/// One Markdown page of the repository.
pub struct Page {
    pub path: String,
    pub text: String,
}

/// Names with which those in a page are compared.
#[derive(Default)]
pub struct Repository {
    /// Paths of all files, from the root.
    pub files: BTreeSet<String>,
    /// Names of all Rust tests.
    pub rust_tests: BTreeSet<String>,
    /// The sources of all JavaScript tests, joined.
    pub javascript_tests: String,
    /// Names of the scripts in `package.json`.
    pub scripts: BTreeSet<String>,
    /// Names that the sources of the settings contain.
    pub settings: String,
    /// Anchors of each page.
    pub anchors: BTreeMap<String, BTreeSet<String>>,
    /// Names of the log events in the sources, each with one place.
    pub events: BTreeMap<String, String>,
    /// All Rust and JavaScript sources of the product, joined.
    pub sources: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Collects the files below a folder, as paths from the root.
pub fn files_below(folder: PathBuf, files: &mut BTreeSet<String>) {
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

/// Returns the names of the functions with `#[test]`, among other attributes.
pub fn rust_tests(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in source.split("#[test]").skip(1) {
        let Some(name) = rest.split("fn ").nth(1) else { continue };
        names.push(name.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect());
    }
    names
}

/// Returns the events that a source logs: the first string literal in each call that writes to the log.
pub fn logged_events(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for call in ["event(", "log(", "note(", "fault(", "event: "] {
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

/// Returns a source without its unit tests, which are at its end.
pub fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

pub fn repository() -> (Repository, Vec<Page>) {
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
