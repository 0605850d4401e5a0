//! Copies the product's sources and plants the faults of `faults.rs` into the copy. Each must find the text that it replaces exactly
//! once: where the product has moved on, the build says so.

use std::fs;
use std::path::{Path, PathBuf};

include!("faults.rs");

fn main() {
    let source = Path::new("../../src");
    println!("cargo:rerun-if-changed=../../src");
    println!("cargo:rerun-if-changed=faults.rs");
    let target = PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("keyward");
    let _ = fs::remove_dir_all(&target);
    let mut files = Vec::new();
    list(source, source, &mut files);
    let mut planted = 0;
    for file in files {
        let mut text = fs::read_to_string(source.join(&file)).unwrap();
        let name = file.to_str().unwrap();
        for Fault { name: fault, file: _, original, planted: instead } in
            FAULTS.iter().filter(|fault| fault.file == name)
        {
            let found = text.matches(original).count();
            assert_eq!(found, 1, "fault {fault}: found {found} times in src/{name}:\n{original}");
            let switch = format!("crate::planted(\"{fault}\")");
            text = text.replace(original, &instead.replace("PLANTED", &switch));
            planted += 1;
        }
        for (_, original, instead) in SMALLER.iter().filter(|(file, _, _)| *file == name) {
            assert_eq!(text.matches(original).count(), 1, "src/{name}: {original}");
            text = text.replace(original, instead);
        }
        if name == "lib.rs" {
            // It is included, so it can't have attributes of its own.
            text = text.lines().filter(|line| !line.starts_with("//!")).collect::<Vec<_>>().join("\n");
            while let Some(start) = text.find("#![") {
                let end = start + text[start..].find("]\n").unwrap() + 2;
                text.replace_range(start..end, "");
            }
        }
        let path = target.join(&file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(planted, FAULTS.len(), "a fault names a file that is not there");
}

fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
}
