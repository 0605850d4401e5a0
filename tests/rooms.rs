//! The rooms of the house: who may know whom, and what only the last one may name. Reads the sources; each rule is also shown
//! to fail on a planted violation.

use std::fs;
use std::path::{Path, PathBuf};

/// A room and those it may know, itself aside.
const ROOMS: [(&str, &[&str]); 10] = [
    ("time", &[]),
    ("json", &[]),
    ("key", &["time", "json"]),
    ("http", &["time", "json", "key"]),
    ("config", &["time", "json", "key", "http"]),
    ("gate", &["time", "json", "key", "http", "config"]),
    ("registry", &["time", "json", "key", "http", "config"]),
    ("admin", &["time", "json", "key", "http", "config", "gate", "registry"]),
    ("edge", &["time", "json", "key", "http", "config", "gate", "registry"]),
    ("cloudflare", &["time", "json", "key", "http", "config", "gate", "registry", "admin", "edge"]),
];

/// What only `cloudflare` may name.
const PLATFORM: [&str; 7] =
    ["worker", "wasm_bindgen", "wasm_bindgen_futures", "js_sys", "web_sys", "getrandom", "thread_local"];

const MOST_LINES: usize = 400;

/// The words of a source with `::` kept as a word, without comments and what stands in quotes.
fn words(source: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.get(3..).and_then(|inner| inner.find("\"#")).map_or(rest.len(), |end| end + 5)
        } else if letter == '"' {
            quoted(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") || rest.starts_with("'/'") {
            rest.get(2..).and_then(|inner| inner.find('\'')).map_or(rest.len(), |end| end + 3)
        } else if letter.is_alphanumeric() || letter == '_' {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else {
            if !letter.is_whitespace() {
                words.push(letter.to_string());
            }
            letter.len_utf8()
        };
        rest = &rest[skip..];
    }
    words
}

/// The length of a string literal, its quotes included.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// What a file refers to outside its room: the names after `crate::`, and after as many `super::` as lead to the crate.
/// `depth` is how many modules the file's own is below the crate.
fn references(words: &[String], depth: usize) -> Vec<String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let mut found = Vec::new();
    for at in 0..words.len() {
        let start = match word(at) {
            "crate" if word(at + 1) == "::" && !matches!(word(at.wrapping_sub(1)), "$") => at + 2,
            "super" if word(at.wrapping_sub(1)) != "::" => {
                let ups = (0..).take_while(|up| word(at + 2 * up) == "super" && word(at + 2 * up + 1) == "::").count();
                // A `mod tests` is one deeper; then one `super` less leads out. Better one too strict.
                if ups < depth {
                    continue;
                }
                at + 2 * ups
            }
            _ => continue,
        };
        if word(start) != "{" {
            // After `super::` it may be the own module's name; after `crate::` it is a room or it is wrong.
            if word(at) == "crate" || ROOMS.iter().any(|(room, _)| *room == word(start)) {
                found.push(word(start).to_owned());
            }
            continue;
        }
        let mut level = 0_usize;
        let mut first = true;
        for word in &words[start..] {
            match word.as_str() {
                "{" => level += 1,
                "}" => level -= 1,
                "," => first = level == 1 || first,
                name if first && level == 1 => {
                    found.push(name.to_owned());
                    first = false;
                }
                _ => {}
            }
            if level == 0 {
                break;
            }
        }
    }
    found
}

/// Everything wrong with one file of `src`; `path` is relative to it.
fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut wrong = |what: String| found.push(format!("{path}: {what}"));
    let lines = source.lines().count();
    if lines > MOST_LINES {
        wrong(format!("has {lines} lines"));
    }
    let words = words(source);
    let room = path.split(['/', '.']).next().unwrap_or_default();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    for at in 0..words.len() {
        let attribute = word(at) == "#" && (word(at + 1) == "[" || (word(at + 1) == "!" && word(at + 2) == "["));
        let until = words[at..].iter().position(|word| word == "]").map_or(words.len(), |end| at + end);
        if attribute && words[at..until].windows(2).any(|pair| pair[0] == "allow" && pair[1] == "(") {
            wrong("has an #[allow]: use #[expect] with a reason".to_owned());
        }
    }
    if room == "lib" {
        return found;
    }
    let Some((_, may_know)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        wrong(format!("`{room}` is no room"));
        return found;
    };
    if room != "cloudflare" {
        for name in PLATFORM {
            let named = (0..words.len()).any(|at| word(at) == name && (word(at + 1) == "::" || word(at + 1) == "!"));
            let used = (1..words.len()).any(|at| word(at) == name && matches!(word(at - 1), "use" | "crate" | "["));
            if named || used {
                wrong(format!("names the platform: {name}"));
            }
        }
        let top = !path.contains('/') || path.ends_with("/mod.rs");
        if top && !source.lines().any(|line| line == "#![forbid(unsafe_code)]") {
            wrong("does not forbid unsafe code".to_owned());
        }
    }
    let depth = if path.ends_with("/mod.rs") { 1 } else { path.matches('/').count() + 1 };
    for name in references(&words, depth) {
        if name != room && !may_know.contains(&name.as_str()) {
            wrong(format!("`{room}` may not know `{name}`"));
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn the_rooms_know_each_other_one_way_only_and_one_room_names_the_platform() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    let mut found = Vec::new();
    let mut rooms: Vec<String> = Vec::new();
    for file in &files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        rooms.push(path.split(['/', '.']).next().unwrap().to_owned());
        found.extend(violations(&path, &fs::read_to_string(file).unwrap()));
    }
    assert_eq!(found, Vec::<String>::new());
    // An empty reading must not pass for a clean one.
    assert!(ROOMS.iter().all(|(room, _)| rooms.iter().any(|read| read == room)), "{rooms:?}");
}

#[test]
fn the_rooms_are_in_an_order() {
    for (at, (room, may_know)) in ROOMS.iter().enumerate() {
        let earlier: Vec<&str> = ROOMS[..at].iter().map(|(name, _)| *name).collect();
        assert!(may_know.iter().all(|name| earlier.contains(name)), "{room}");
    }
}

#[test]
fn a_planted_violation_is_found() {
    let forbid = "#![forbid(unsafe_code)]\n";
    let pure = |code: &str| format!("{forbid}{code}");
    for (path, source, what) in [
        ("key/id.rs", "use crate::http::head::Head;".to_owned(), "may not know `http`"),
        ("key/id.rs", "fn f() { crate::gate::Gate::default(); }".to_owned(), "may not know `gate`"),
        ("key/id.rs", "use super::super::config::Config;".to_owned(), "may not know `config`"),
        ("key/id.rs", "use crate::{time::Millis, admin::{self, find}};".to_owned(), "may not know `admin`"),
        ("key/mod.rs", pure("use super::http::problem;"), "may not know `http`"),
        ("gate/mod.rs", pure("use crate::registry::command::Call;"), "may not know `registry`"),
        ("registry/apply.rs", "use crate::gate::Gate;".to_owned(), "may not know `gate`"),
        ("http/head.rs", "use crate::config::Config;".to_owned(), "may not know `config`"),
        ("admin/mod.rs", pure("use crate::cloudflare::clock;"), "may not know `cloudflare`"),
        ("time.rs", pure("use crate::key::id::KeyId;"), "may not know `key`"),
        ("gate/mod.rs", pure("use worker::Env;"), "names the platform: worker"),
        ("http/head.rs", "fn f() { js_sys::Date::now(); }".to_owned(), "names the platform: js_sys"),
        ("key/entropy.rs", "fn f() { let _ = getrandom::fill(&mut []); }".to_owned(), "names the platform: getrandom"),
        ("gate/memory.rs", "#[wasm_bindgen] pub fn f() {}".to_owned(), "names the platform: wasm_bindgen"),
        ("gate/mod.rs", "fn f() {}".to_owned(), "does not forbid unsafe"),
        ("config.rs", "// #![forbid(unsafe_code)]".to_owned(), "does not forbid unsafe"),
        ("gate/memory.rs", "#[allow(dead_code)] fn f() {}".to_owned(), "has an #[allow]"),
        ("cloudflare/edge.rs", "#![allow(clippy::all)]".to_owned(), "has an #[allow]"),
        ("lib.rs", "#![cfg_attr(test, allow(dead_code))]".to_owned(), "has an #[allow]"),
        ("http/head.rs", "\n".repeat(401), "has 401 lines"),
        ("extra.rs", String::new(), "is no room"),
    ] {
        let found = violations(path, &source);
        assert!(found.iter().any(|found| found.contains(what)), "{path}: {source}\n{found:?}");
    }
}

#[test]
fn what_only_looks_like_a_violation_is_none() {
    for (path, source) in [
        (
            "key/id.rs",
            "use crate::time::Millis; use super::hash::KeyHash; // crate::gate\nconst A: &str = \"crate::gate worker::\";",
        ),
        ("key/id.rs", "/// [`crate::gate`] and worker::Env\nfn worker(js_sys: u8) -> char { '\"' }"),
        ("key/id.rs", "mod tests { use super::*; use super::super::time; }"),
        ("gate/memory.rs", "use crate::{config::Config, key::{id::KeyId, record}};"),
        (
            "cloudflare/edge.rs",
            "use worker::Env; use crate::gate::Gate; #[expect(dead_code, reason = \"x\")] fn f() {}",
        ),
        ("http/head.rs", "\n".repeat(400).leak()),
        ("lib.rs", "#![deny(clippy::allow_attributes)] pub mod gate;"),
        ("admin/body.rs", "let shown = r#\"#[allow(x)] worker::\"#;"),
    ] {
        assert_eq!(violations(path, source), Vec::<String>::new(), "{source}");
    }
}
