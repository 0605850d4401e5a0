//! Every limit on what a client may send or make us keep, in one place, with its reason. README.md lists them; a test compares.

/// Bytes of path and query. Servers commonly stop between 8,000 and 16,000; past that a URL is a mistake or an attack.
pub const TARGET_BYTES: usize = 8_192;

/// Header lines, as the worker sees them (repeats are joined before).
pub const HEADER_COUNT: usize = 100;

/// Bytes of all header names and values together. The edge itself allows 128 KB; origins commonly allow 8 to 32.
pub const HEADER_BYTES: usize = 32_768;

/// Bytes of a control-plane body: a key with every field and 1,000 networks at their limits has under 50,000.
pub const BODY_BYTES: usize = 65_536;

/// Characters of a name: it must fit a line of a list.
pub const NAME_CHARS: usize = 100;

/// Characters of an integration's slug.
pub const INTEGRATION_CHARS: usize = 64;

/// Characters of a purpose or a reason: a paragraph, not a document.
pub const PROSE_CHARS: usize = 500;

/// Characters of an owner or an e-mail address (RFC 5321 allows 254 for the latter).
pub const CONTACT_CHARS: usize = 254;

/// Scopes of one key. More is a sign of a key for everything.
pub const SCOPES: usize = 50;

/// Networks of one key.
pub const CIDRS: usize = 1_000;

/// Items on a page of a list, where the caller says nothing.
pub const PAGE_DEFAULT: u32 = 50;

/// Items on a page of a list at most.
pub const PAGE_MOST: u32 = 200;

/// Keys that one isolate remembers at most. About 1 KB each, networks aside: 10 MB of an isolate's 128.
pub const REMEMBERED_KEYS: usize = 10_000;

/// Networks of all remembered keys together, about 18 bytes each: 4 MB. One key may have a thousand of them.
pub const REMEMBERED_NETWORKS: usize = 200_000;

/// Changed keys that one isolate keeps the last change of, about 31 bytes each: 6 MB. With more it believes no copy in KV and asks
/// the authority about every key.
pub const REMEMBERED_CHANGES: usize = 200_000;

/// Changed keys that an isolate tells those of, through the data centre's cache, that are born after it: about 400 KB, as a page of
/// the authority's has.
pub const TOLD_CHANGES: usize = 20_000;

/// Look-ups that one isolate may ask of the authority at once, and every second after: so that an outage of KV, which answers most of
/// them, doesn't become one of the authority.
pub const LOOKUPS_A_SECOND: u32 = 50;

/// Revocations by holders that one address may ask for at once: an integration that shuts off all it has.
pub const REVOCATIONS_AT_ONCE: i64 = 20;

/// After these, one for each so many milliseconds: too few to try texts, enough to go on with a long list.
pub const REVOCATION_MILLIS: i64 = 3_000;

/// Addresses that one isolate remembers for this, the least recently used go first: about 100 bytes each.
pub const REVOKERS_REMEMBERED: usize = 4_096;

/// Characters of an `Idempotency-Key`: an UUID has 36.
pub const IDEMPOTENCY_KEY_CHARS: usize = 64;

/// Bytes of a JWT of Cloudflare Access. Access's have 1 to 2 KB.
pub const ACCESS_TOKEN_BYTES: usize = 8_192;

/// Bytes of the id of an Access team's key. Access's have 64.
pub const ACCESS_KEY_ID_BYTES: usize = 256;

/// Keys of an Access team. Access publishes two, a few more while it rotates them.
pub const ACCESS_KEYS: usize = 16;

/// Bytes of all assertions that one isolate keeps, with the claims they are found by. Commonly 800 each: about 5,000 keys in use
/// within half a minute. Of more than that, some are signed again sooner.
pub const ASSERTION_BYTES: usize = 4_194_304;
