//! Texts that must stay as they are. `KEYWARD_UPDATE=1 cargo test -p keyward-cli` writes them anew.

use std::path::PathBuf;

#[track_caller]
pub fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("KEYWARD_UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "{name} differs. If that is meant: KEYWARD_UPDATE=1 cargo test -p keyward-cli\n{text}");
}

/// Replaces times, which differ in each run.
pub fn timeless(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_time = digits == 17 && word.contains('T') && word.contains("Z");
        words.push(if is_time { format!("<time>{}", word.split_once('Z').unwrap().1) } else { word.to_owned() });
    }
    words.join(" ")
}
