//! Configuration, keys and entropy shared by the targets.

use std::sync::LazyLock;

use keyward_config::Config;
use keyward_key::entropy::{Entropy, EntropyFailed};
use keyward_key::id::{Class, Environment};
use keyward_key::mint::{Minted, mint};
use serde_json::json;

pub const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub const ORIGIN: &str = "http://origin.example:8080";

/// Wide routes: every well-formed request is forwarded.
pub static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let vars = json!({
        "KEYWARD_SECRET": SECRET,
        "BOOTSTRAP_TOKEN": "bootstrap-token-of-the-fuzzing",
        "ORIGIN_LIVE": ORIGIN,
        "REQUIRE_HTTPS": false,
        "REFUSE_BROWSERS": false,
        "ROUTES": [
            {"match": "GET /public/*", "access": "public"},
            {"match": "* /admin/*", "scope": "admin:all"},
            {"match": "* /*", "scope": "contacts:read"},
        ],
    });
    match Config::parse(vars.as_object().expect("an object")) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:?}"),
    }
});

/// A fixed live key.
pub static LIVE: LazyLock<Minted> = LazyLock::new(|| minted(1, Class::Data(Environment::Live)));

/// Another fixed key.
pub static OTHER: LazyLock<Minted> = LazyLock::new(|| minted(2, Class::Data(Environment::Test)));

/// A fixed credential of a member.
pub static MEMBER: LazyLock<Minted> = LazyLock::new(|| minted(3, Class::Member));

fn minted(seed: u64, class: Class) -> Minted {
    mint(&CONFIG.keyring, &CONFIG.prefix, class, &mut Counting(seed)).expect("entropy never fails here")
}

/// SplitMix64.
pub struct Counting(pub u64);

impl Entropy for Counting {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyFailed> {
        for slot in buffer {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *slot = (mixed >> 32) as u8;
        }
        Ok(())
    }
}

/// Returns the input as text, with `{live}`, `{other}` and `{member}` replaced by the fixed keys, because a fuzzer cannot guess a key.
pub fn text_of(data: &[u8]) -> String {
    String::from_utf8_lossy(data)
        .replace("{live}", LIVE.api_key.expose())
        .replace("{other}", OTHER.api_key.expose())
        .replace("{member}", MEMBER.api_key.expose())
}

/// Returns the name as a server reads it that folds `_` and `.` into `-`. Independent of the product's implementation.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
