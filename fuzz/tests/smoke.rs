//! The fuzz targets with a seeded mutator instead of a fuzzer, on the stable toolchain and without coverage. `npm run fuzz`
//! (docs/internals/fuzzing.md) is guided by coverage.
//!
//! `KEYWARD_FUZZ_SECONDS` is the time for each target (default 20). `KEYWARD_FUZZ_SEED` repeats a run.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Fragments that are difficult for parsers, in addition to the seeds.
const PIECES: &[&str] = &[
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "%00",
    "%0d%0a",
    "%25",
    "%c0%ae",
    "%C3%A9",
    "%3b",
    "..",
    "./",
    "//",
    "\\",
    ";",
    "?",
    "#",
    "@",
    "*",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " ",
    ",",
    ", ",
    "_",
    "-",
    ".",
    "\0",
    "\u{202e}",
    "\u{feff}",
    "é",
    "{live}",
    "{other}",
    "{member}",
    "wafl_",
    "wafl_live_",
    "Bearer ",
    "Basic ",
    "keyward-",
    "keyward_",
    "x-api-key",
    "authorization",
    "connection",
    "upgrade",
    "websocket",
    "host",
    "null",
    "true",
    "1e999",
    "-1",
    "18446744073709551616",
    "\"",
    "[[[[",
    "]",
    "{",
    "}",
    "\\u0000",
    "\\ud800",
];

struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn range(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        (one.min(other), one.max(other))
    }

    /// Returns a seed with one to four mutations.
    fn input(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        let mut bytes = self.seeds[at].clone();
        for _ in 0..=self.below(4) {
            let (start, end) = self.range(bytes.len());
            let near = end.min(start + 8);
            let new: Vec<u8> = match self.below(7) {
                0 => Vec::new(),
                1 => vec![self.next().to_le_bytes()[0]],
                2 => bytes[start..end].repeat(2),
                3 => {
                    let from = self.below(self.seeds.len());
                    let (start, end) = self.range(self.seeds[from].len());
                    self.seeds[from][start..end].to_vec()
                }
                4 => bytes[start..near].iter().map(|byte| byte ^ 0x20).collect(),
                _ => PIECES[self.below(PIECES.len())].as_bytes().to_vec(),
            };
            let (start, end) = if self.below(2) == 0 { (start, start) } else { (start, near) };
            bytes.splice(start..end, new);
            bytes.truncate(100_000);
        }
        bytes
    }
}

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "this is a test on a real machine")]
    let value = std::env::var(name);
    value.ok().map(|value| value.parse().expect("a number"))
}

fn smoke(name: &str) {
    let target = targets::ALL.iter().find(|target| target.name == name).expect("a target of that name");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("seeds").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a seed")).collect();
    for seed in &seeds {
        (target.run)(seed);
    }
    let seed = setting("KEYWARD_FUZZ_SEED").unwrap_or(u64::from(std::process::id()));
    let mut mutator = Mutator { state: seed, seeds };
    #[expect(clippy::disallowed_methods, reason = "this is a test on a real machine")]
    let now = Instant::now;
    let end = now() + Duration::from_secs(setting("KEYWARD_FUZZ_SECONDS").unwrap_or(20));
    let mut runs = 0_u64;
    while now() < end {
        let input = mutator.input();
        runs += 1;
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            panic!("{name}, seed {seed}, run {runs}: {:?}", String::from_utf8_lossy(&input));
        }
    }
    println!("{name}: {runs} inputs, seed {seed}");
}

macro_rules! smoke {
    ($($test:ident $name:literal)*) => {
        $(#[test] fn $test() { smoke($name); })*

        #[test]
        fn every_target_has_its_smoke_test_and_seeds() {
            let named: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(named, [$($name),*]);
        }
    };
}

smoke! {
    any_head_is_refused_or_kept_whole "head"
    any_path_is_refused_or_read_alike_by_every_parser "path"
    any_credential_headers_give_one_credential_at_most "credential"
    any_text_is_a_key_only_if_it_has_the_form "key"
    any_headers_leave_nothing_that_poses_as_ours "headers"
    any_request_that_is_forwarded_had_a_live_key "gate"
    any_question_of_a_gateway_is_about_what_every_source_names "forwarded_request"
    any_pages_in_any_order_leave_no_copy_below_its_floor_in_use "feed"
    any_stored_record_is_believed_only_if_sealed_here "sealed"
    any_access_assertion_is_refused_or_has_valid_claims "access"
    any_control_request_becomes_a_sound_command_or_a_4xx "control"
    any_registry_message_is_written_as_it_was_read "registry"
}
