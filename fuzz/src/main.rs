//! libFuzzer around one of the targets, named by `KEYWARD_FUZZ_TARGET`. `npm run fuzz` builds and starts it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static CHOSEN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("KEYWARD_FUZZ_TARGET").unwrap_or_default();
    let found = targets::ALL.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("KEYWARD_FUZZ_TARGET is not a target: {name:?}")).run
});

fuzz_target!(|data: &[u8]| CHOSEN(data));
