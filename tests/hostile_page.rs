//! docs/HOSTILE.md says where each class of input is decided and which test holds it: the files and tests it names are there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/HOSTILE.md")).expect("the page")
}

/// What stands between two of these marks.
fn between(page: &str, mark: char) -> Vec<&str> {
    page.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn every_file_that_the_page_names_exists() {
    let page = page();
    let mut named = 0;
    for text in between(&page, '`') {
        let is_file = [".rs", ".mjs", ".js"].iter().any(|end| text.ends_with(end)) && !text.contains('*');
        if !is_file {
            continue;
        }
        named += 1;
        let places = [root().join(text), root().join("src").join(text), root().join("tests/edge").join(text)];
        assert!(places.iter().any(|place| place.is_file()), "docs/HOSTILE.md names {text}, which is nowhere");
    }
    assert!(named > 40, "found only {named} files: has the page another form now?");
    for target in page.split("fuzz target `").skip(1).filter_map(|rest| rest.split('`').next()) {
        assert!(root().join("fuzz/targets").join(format!("{target}.rs")).is_file(), "no fuzz target {target}");
    }
}

/// All text of the files below a folder that end so.
fn text_below(folder: PathBuf, end: &str) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.push_str(&text_below(path, end));
        } else if path.to_str().is_some_and(|name| name.ends_with(end)) {
            all.push_str(&fs::read_to_string(path).expect("a source"));
        }
    }
    all
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = page();
    let native = text_below(root().join("src"), ".rs") + &text_below(root().join("tests"), ".rs");
    let edge = text_below(root().join("tests/edge"), ".test.mjs");
    // The last column of each table is about tests.
    let column: Vec<&str> = page.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next()).collect();
    let column = column.join("\n");
    let is_test = |text: &&str| text.contains('_') && !text.contains(['.', '/', ' ']);
    let tests: Vec<&str> = between(&column, '`').into_iter().filter(is_test).collect();
    for name in &tests {
        let is_there = ["#[test]\n", "#[test]\n    "].iter().any(|mark| native.contains(&format!("{mark}fn {name}(")));
        assert!(is_there, "no test {name}");
    }
    let sentences = between(&column, '"');
    for sentence in &sentences {
        assert!(edge.contains(sentence), "no edge test: {sentence}");
    }
    assert!(tests.len() > 20 && sentences.len() > 8, "{} tests, {} sentences", tests.len(), sentences.len());
}
