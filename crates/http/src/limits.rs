//! Every limit on client input and on memory use, with its reason. docs/reference/limits.md lists them; a test compares the two.

/// Maximum size of path and query together, in bytes. Servers commonly allow 8,000 to 16,000; a longer URL is a mistake or an
/// attack.
pub const TARGET_BYTES: usize = 8_192;

/// Maximum number of header lines, counted after the runtime has joined repeated headers.
pub const HEADER_COUNT: usize = 100;

/// Maximum total size of header names and values, in bytes. The edge allows 128 KB; origins commonly allow 8 to 32 KB.
pub const HEADER_BYTES: usize = 32_768;

/// Maximum number of names in `Connection`. Clients list two or three; each is compared with every header.
pub const CONNECTION_NAMES: usize = 32;

/// Maximum size of a control-plane body, in bytes. A key with every field and 1,000 networks at their limits takes under 50,000.
pub const BODY_BYTES: usize = 65_536;

/// Maximum length of a name, in characters. It must fit on one line of a list.
pub const NAME_CHARS: usize = 100;

/// Maximum length of an integration's slug, in characters.
pub const INTEGRATION_CHARS: usize = 64;

/// Maximum length of a purpose or a reason, in characters: a paragraph, not a document.
pub const PROSE_CHARS: usize = 500;

/// Maximum length of an owner or an e-mail address, in characters (RFC 5321 allows 254 for the latter).
pub const CONTACT_CHARS: usize = 254;

/// Maximum number of scopes of one key. More suggest a key with access to everything.
pub const SCOPES: usize = 50;

/// Maximum total length of a key's scopes, in bytes, with a space between. An origin receives them twice, in `Keyward-Scopes` and in
/// the assertion, and many servers read heads of 4 KB.
pub const SCOPE_BYTES: usize = 1_024;

/// Maximum number of networks of one key.
pub const CIDRS: usize = 1_000;

/// Maximum `cost` of a route. A dearer request suggests a limit in other units.
pub const ROUTE_COST: u32 = 1_000;

/// Maximum number of limit groups of which one isolate holds leases: as many as it caches keys.
pub const LEASED_GROUPS: usize = 10_000;

/// Maximum number of limit groups, the most recently used ones, that a query considers for an early renewal, so that its
/// cost does not grow with their number.
pub const VISITED_GROUPS: usize = 2_000;

/// Default number of items on a page of a list.
pub const PAGE_DEFAULT: u32 = 50;

/// Maximum number of items on a page of a list.
pub const PAGE_MOST: u32 = 200;

/// Maximum number of keys in one isolate's cache. About 1 KB each without networks: 10 MB of an isolate's 128 MB.
pub const REMEMBERED_KEYS: usize = 10_000;

/// Maximum number of networks of all cached keys together, about 18 bytes each: 4 MB. One key may have 1,000 of them.
pub const REMEMBERED_NETWORKS: usize = 200_000;

/// Maximum number of changed keys whose last revision one isolate tracks, about 31 bytes each: 6 MB. With more, it trusts no KV copy
/// and queries the authority for every key.
pub const REMEMBERED_CHANGES: usize = 200_000;

/// Maximum number of changed keys in the snapshot for new isolates, which an isolate publishes to the data centre's cache: about
/// 400 KB, the size of one page from the authority. With more, it publishes no snapshot.
pub const TOLD_CHANGES: usize = 20_000;

/// Maximum number of keys of one isolate that wait for the authority's answer at the same time. They share lookups of at most 500
/// keys, of which one is in flight.
pub const WAITING_KEYS: usize = 10_000;

/// Minimum interval between two lookups by one isolate that contain only keys without a KV copy, in milliseconds. An attacker who mints
/// keys with an old secret causes at most ten lookups a second.
pub const UNKNOWN_LOOKUP_INTERVAL_MS: i64 = 100;

/// Maximum burst of revocations by holders from one address: an integration that revokes all its keys at once.
pub const REVOCATIONS_AT_ONCE: i64 = 20;

/// Minimum interval between revocations from one address after the burst, in milliseconds: too slow for guessing, fast enough to
/// work through a long list.
pub const REVOCATION_MILLIS: i64 = 3_000;

/// Maximum number of addresses that one isolate tracks for this limit, about 100 bytes each. The least recently used are evicted
/// first.
pub const REVOKERS_REMEMBERED: usize = 4_096;

/// Default time for which a claim is open, in hours.
pub const CLAIM_HOURS_DEFAULT: u32 = 24;

/// Maximum time for which a claim is open, in hours: a week. A link that nobody opens in a week was lost.
pub const CLAIM_HOURS_MOST: u32 = 168;

/// Minimum length of the nonce of a claim, in characters.
pub const CLAIM_NONCE_LEAST_CHARS: usize = 16;

/// Maximum length of the nonce of a claim, in characters.
pub const CLAIM_NONCE_CHARS: usize = 64;

/// Maximum burst of wrong secrets for one claim, in one isolate. A wrong secret costs no query, and a right one is never limited by
/// wrong ones, so nobody locks the claimant out.
pub const WRONG_CLAIM_SECRETS_AT_ONCE: i64 = 10;

/// Minimum interval between wrong secrets for one claim after the burst, in milliseconds: ten a minute.
pub const WRONG_CLAIM_SECRET_MILLIS: i64 = 6_000;

/// Maximum number of claims that one isolate tracks for this limit, about 150 bytes each. The least recently used are evicted first.
pub const CLAIMS_REMEMBERED: usize = 4_096;

/// Maximum number of keys of one incident. Revoking them keeps the authority busy for a fraction of a second.
pub const INCIDENT_KEYS: usize = 1_000;

/// Maximum number of keys that an incident revokes without a confirmation.
pub const UNCONFIRMED_KEYS: usize = 20;

/// Maximum number of requests to the control plane with one credential, in one isolate: the burst, and the rate per second. A script
/// that works through thousands of keys stays below it; a loop that went wrong does not.
pub const CONTROL_REQUESTS_A_SECOND: u32 = 100;

/// Maximum number of refused sign-ins with one credential, in one isolate: the burst, and the rate per second.
pub const REFUSED_SIGN_INS_A_SECOND: u32 = 20;

/// Maximum number of queries by one isolate to the authority for the control plane and for gateways' credentials: the burst, and the
/// rate per second. The authority answers several hundred a second, and the feed and the lookups of keys come first.
pub const CONTROL_QUERIES_A_SECOND: u32 = 200;

/// Maximum number of queries by one isolate to the authority that confirm a gateway again, apart from the rate above: the burst, and the
/// rate per second. Each gateway needs one in a bound, and whatever members do must not make its answers 503.
pub const CONFIRMATIONS_A_SECOND: u32 = 20;

/// Maximum number of credentials that one isolate tracks for these limits, about 300 bytes each. The least recently used are evicted
/// first.
pub const CREDENTIALS_REMEMBERED: usize = 1_024;

/// Time for which an isolate refuses a revoked, expired or replaced credential without a query, in milliseconds. The refusal is final,
/// but an authority that was restored from a backup may know the credential again.
pub const FINAL_REFUSAL_MILLIS: i64 = 600_000;

/// Time for which an isolate repeats any other refusal of a sign-in without a query, in milliseconds: concurrent requests share one.
pub const REFUSAL_MILLIS: i64 = 1_000;

/// Maximum length of an `Idempotency-Key`, in characters. A UUID has 36.
pub const IDEMPOTENCY_KEY_CHARS: usize = 64;

/// Maximum size of a Cloudflare Access JWT, in bytes. Access issues 1 to 2 KB.
pub const ACCESS_TOKEN_BYTES: usize = 8_192;

/// Maximum size of the id of an Access team's key, in bytes. Access uses 64.
pub const ACCESS_KEY_ID_BYTES: usize = 256;

/// Maximum number of keys of an Access team. Access publishes two, and a few more during a rotation.
pub const ACCESS_KEYS: usize = 16;

/// Maximum total size of one isolate's cached assertions, in bytes, with the claims used to look them up. Commonly 800 each, so
/// about 5,000 keys in use within half a minute fit. With more, some assertions are signed again early.
pub const ASSERTION_BYTES: usize = 4_194_304;

/// Maximum length of a client family in the counts of usage, in bytes. Product tokens are short.
pub const CLIENT_FAMILY_BYTES: usize = 40;

/// Maximum number of networks of one key that an isolate tells apart in an hour. More are counted as `other`, as in the object.
pub const COUNTED_NETWORKS: usize = 64;

/// Maximum number of unreported counts of one key, about 150 bytes each. More are counted as one for each hour, decision and route, and
/// beyond as many again as one for each hour and decision.
pub const COUNTED_USES: usize = 128;

/// Maximum number of keys that an isolate counts. With more, it forgets those whose counts are reported.
pub const COUNTED_KEYS: usize = 10_000;

/// Maximum number of unreported counts of all keys together: 6 MB of an isolate's 128 MB. It is reached only while the usage object
/// is unreachable; then counts of further keys are lost, and the log says so.
pub const COUNTED_TOTAL: usize = 40_000;

/// Maximum number of keys in one report. A shard with as many unreported keys gets its report at once.
pub const REPORTED_KEYS: usize = 200;

/// Number of counts after which a report takes no further key: about 1 MB. A Durable Object binds texts of at most 2 MB.
pub const REPORTED_USES: usize = 4_000;

/// Maximum number of steps of one usage series: all minutes or days that are kept, and all hours of five weeks.
pub const SERIES_STEPS: i64 = 1_000;

/// Maximum number of usage totals in one answer.
pub const TOTALS: usize = 100;

/// Maximum number of days of usage totals. With 10,000 keys, a shard reads a million rows for them: about 0.2 s.
pub const TOTALS_DAYS: i64 = 92;

/// Maximum number of hours of one activity query: all that are kept.
pub const ACTIVITY_HOURS: i64 = 841;

/// Maximum number of items of activity in one answer as CSV or JSON lines: about 1 MB.
pub const ACTIVITY_LINES: u32 = 5_000;

/// Maximum number of keys in one URL that are reported as exposed. Nobody sends more by mistake.
pub const EXPOSED_KEYS: usize = 4;

/// Maximum number of reports of exposed keys by one isolate in a minute. A later request with the same key causes the report then.
pub const EXPOSURE_REPORTS_A_MINUTE: u32 = 60;

/// Time for which one isolate does not report the same key and kind of exposure again, in milliseconds. The authority records each once
/// an hour. A key that was released from quarantine must be reported again soon.
pub const EXPOSURE_INTERVAL_MS: i64 = 60_000;

/// Maximum number of exposures that one isolate tracks for this interval, about 60 bytes each. Beyond it all of them are forgotten.
pub const EXPOSURES_REMEMBERED: usize = 1_024;

/// Maximum burst of sign-ins to the console with one credential, in one isolate. Each writes an entry of the audit log.
pub const SIGN_INS_AT_ONCE: i64 = 10;

/// Minimum interval between sign-ins to the console after the burst, in milliseconds.
pub const SIGN_IN_MILLIS: i64 = 6_000;

/// Maximum burst of readings of the posture with one credential, in one isolate. Each keeps the authority busy for as long as hundreds of
/// other queries, because it reads every current key.
pub const POSTURES_AT_ONCE: i64 = 20;

/// Minimum interval between readings of the posture after the burst, in milliseconds.
pub const POSTURE_MILLIS: i64 = 3_000;

/// Maximum size of a leak report, in bytes. GitHub reports many matches at once.
pub const LEAK_BODY_BYTES: usize = 1_048_576;

/// Maximum number of leak reports that one receiver handles at the same time, in one isolate. Each takes a few MB, and needs no credential.
pub const LEAK_REPORTS_AT_ONCE: usize = 8;

/// Maximum number of keys in one public leak report, and of keys that are looked for in one text.
pub const LEAKED_KEYS: usize = 1_000;

/// Maximum length of the place where a leaked key was found, in characters. A longer one is cut.
pub const LEAK_PLACE_CHARS: usize = 2_000;

/// Maximum number of integrations that metrics name. The others are counted as `other`.
pub const METRIC_INTEGRATIONS: usize = 500;

/// Maximum number of types and groups that one endpoint of events lists: more than there are types.
pub const EVENT_TYPES_LISTED: usize = 30;

/// Maximum length of the address of an endpoint of events, in bytes. Longer ones are mistakes, and every message to the events object
/// lists them.
pub const EVENT_URL_BYTES: usize = 2_048;
