//! docs/HOSTILE.md says where each class of input is decided and which test holds it: the files it names are there.

use std::fs;
use std::path::Path;

#[test]
fn every_file_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/HOSTILE.md")).expect("the page");
    let mut named = 0;
    for text in page.split('`').skip(1).step_by(2) {
        let is_file = [".rs", ".mjs", ".js"].iter().any(|end| text.ends_with(end)) && !text.contains('*');
        if !is_file {
            continue;
        }
        named += 1;
        let places = [root.join(text), root.join("src").join(text), root.join("tests/edge").join(text)];
        assert!(places.iter().any(|place| place.is_file()), "docs/HOSTILE.md names {text}, which is nowhere");
    }
    assert!(named > 40, "found only {named} files: has the page another form now?");
    for target in page.split("fuzz target `").skip(1).filter_map(|rest| rest.split('`').next()) {
        assert!(root.join("fuzz/targets").join(format!("{target}.rs")).is_file(), "no fuzz target {target}");
    }
}
