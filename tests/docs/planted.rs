//! Each check finds a planted error on a small page.

use crate::checks::*;
use crate::markdown::anchors;
use crate::repository::{Page, Repository, logged_events, rust_tests};

fn page(text: &str) -> Page {
    Page { path: "docs/guides/a.md".into(), text: text.into() }
}

/// Returns a small repository with all names of the pages below, except the planted errors.
fn small_repository() -> Repository {
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
    assert_eq!(broken_links(&good, &small_repository()), Vec::<String>::new());
    let bad = page("\n[b](../b.md#two)\n[c](b.md)\n[d](../../../b.md)");
    let found = broken_links(&bad, &small_repository());
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "docs/guides/a.md:2: the link ../b.md#two points to no heading");
}

#[test]
fn a_missing_file_is_found() {
    assert_eq!(
        missing_files(&page("`crates/key/src/id.rs`, `id.rs`, `*.rs` and `a b.rs`"), &small_repository()),
        Vec::<String>::new()
    );
    let found = missing_files(&page("`gate/src/id.rs` and `d.rs`"), &small_repository());
    assert_eq!(
        found,
        [
            "docs/guides/a.md:1: there is no file gate/src/id.rs (but crates/key/src/id.rs)",
            "docs/guides/a.md:1: there is no file d.rs"
        ]
    );
}

#[test]
fn a_missing_test_is_found() {
    let table = |test: &str| page(&format!("| promise | code | tests |\n|---|---|---|\n| a | `id.rs` | {test} |"));
    assert_eq!(
        missing_tests(&table("`a_key_ends`, \"a key is refused\", fuzz target `path`"), &small_repository()),
        Vec::<String>::new()
    );
    let found = missing_tests(&table("`a_key_begins`, \"a key is taken\", fuzz target `paths`"), &small_repository());
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "docs/guides/a.md:3: there is no Rust test a_key_begins (perhaps a_key_ends)");
    let other = page("| a | b |\n|---|---|\n| x | `not_a_test` |");
    assert_eq!(missing_tests(&other, &small_repository()), Vec::<String>::new());
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
        missing_scripts(&page("```sh\nnpm run bench\nnpm test -- fmt\nnpm ci\n```"), &small_repository()),
        Vec::<String>::new()
    );
    assert_eq!(
        missing_scripts(&page("`npm run benches`"), &small_repository()),
        ["docs/guides/a.md:1: package.json has no script benches"]
    );
}

#[test]
fn an_unknown_setting_is_found() {
    assert_eq!(
        unknown_settings(&page("`KEY_PREFIX`, `KEY_PREFIX = \"x\"`, `LONGEST_TARGET`, `JSON`"), &small_repository()),
        Vec::<String>::new()
    );
    assert_eq!(
        unknown_settings(&page("`KEY_PREFIXES`"), &small_repository()),
        ["docs/guides/a.md:1: crates/config knows no setting KEY_PREFIXES"]
    );
}

#[test]
fn an_event_that_is_not_documented_or_not_logged_is_found() {
    let table = |name: &str| page(&format!("| event | meaning |\n|---|---|\n| `{name}` | x |"));
    assert_eq!(wrong_events(&table("kv_failed"), &small_repository()), Vec::<String>::new());
    let found = wrong_events(&table("kv_fails"), &small_repository());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "docs/guides/a.md:3: no source logs the event kv_fails");
}

#[test]
fn a_missing_page_is_found() {
    assert_eq!(missing_pages("src/lib.rs", "//! See docs/b.md.", &small_repository()), Vec::<String>::new());
    assert_eq!(
        missing_pages("src/lib.rs", "//! See docs/B.md.", &small_repository()),
        ["src/lib.rs:1: there is no page docs/B.md"]
    );
}

#[test]
fn names_are_read_from_sources() {
    assert_eq!(rust_tests("#[test]\n#[ignore = \"slow\"]\n    fn a_key_ends() {}"), ["a_key_ends"]);
    let source = "event(\n    Level::Warn,\n    \"kv_failed\", &[]); self.fault(\"entropy_failed\"); log(level, name)";
    assert_eq!(logged_events(source), ["kv_failed", "entropy_failed"]);
}
