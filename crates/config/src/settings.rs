//! Table of settings, one row each. The table in docs/reference/configuration.md is generated from it.

/// One variable or secret of the worker.
pub struct Setting {
    /// Name.
    pub name: &'static str,
    /// Default as written in the documentation; `None` if there is none.
    pub default: Option<&'static str>,
    /// Whether the configuration is incomplete without it.
    pub required: bool,
    /// `true` for a secret. A secret must not be in `wrangler.toml`.
    pub secret: bool,
    /// Meaning, range and unit.
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: Some(default), required: false, secret: false, meaning }
}

const fn optional(name: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: None, required: false, secret: false, meaning }
}

const fn required(name: &'static str, secret: bool, meaning: &'static str) -> Setting {
    Setting { name, default: None, required: true, secret, meaning }
}

/// Every setting. The platform passes these variables and no others.
pub const SETTINGS: &[Setting] = &[
    required(
        "KEYWARD_SECRET",
        true,
        "32 random bytes in base64, different for each deployment. Every other key of the server is derived from it.",
    ),
    Setting {
        name: "KEYWARD_SECRET_PREVIOUS",
        default: None,
        required: false,
        secret: true,
        meaning: "The retired secret. API keys that were minted under it work while it is set.",
    },
    required(
        "BOOTSTRAP_TOKEN",
        true,
        "At least 22 visible ASCII characters. Creates an owner while no owner without a limit is active. It must stay set.",
    ),
    Setting {
        name: "METRICS_TOKEN",
        default: None,
        required: false,
        secret: true,
        meaning: "At least 22 visible ASCII characters. Whoever has it may read the metrics, and nothing else: see [Metrics](../guides/metrics.md).",
    },
    setting(
        "KEY_PREFIX",
        "wafl",
        "Prefix of every key: 2 to 8 of `a-z`. A change invalidates every key and credential, including the owner's.",
    ),
    required(
        "ORIGIN_LIVE",
        false,
        "Scheme and host of your API, without a path. `\"route\"` if the worker runs on a zone route; it then forwards each request to the request's own URL.",
    ),
    optional(
        "ROUTE_HOSTS",
        "With `ORIGIN_LIVE = \"route\"`, required: the list of hosts from which requests are forwarded, such as `[\"api.example.com\"]`. Other hosts get 421 `misdirected_request`.",
    ),
    optional("ORIGIN_TEST", "The same for test keys, without `\"route\"`. Without it a test key gets 503 `no_origin`."),
    setting(
        "REQUIRE_HTTPS",
        "true",
        "Refuse keys and the control plane over plain HTTP. Public routes, health and problem pages are not affected.",
    ),
    setting(
        "REFUSE_BROWSERS",
        "true",
        "Refuse requests with a key from browser pages: with `Sec-Fetch-Site`, or with `Origin` and a `User-Agent` that begins with `Mozilla/`.",
    ),
    setting("MAX_KEY_DAYS", "365", "Maximum lifetime of a key in days, 1 to 3650."),
    setting("MAX_MEMBER_DAYS", "365", "Maximum lifetime of a member's credential in days, 1 to 3650."),
    setting(
        "REVOCATION_BOUND_SECONDS",
        "5",
        "Maximum age of the state that an isolate decides by, in seconds, 1 to 300. A revocation takes effect everywhere within this time.",
    ),
    setting(
        "OUTAGE_GRACE_SECONDS",
        "60",
        "Additional maximum age, in seconds, while the authority is unreachable, 0 to 86400.",
    ),
    setting(
        "ORIGIN_TIMEOUT_SECONDS",
        "60",
        "Timeout in seconds for the headers of the origin's response, including the time to send the request's body, 1 to 600. Then 504 `origin_timeout`.",
    ),
    setting(
        "MAX_CONNECTION_SECONDS",
        "86400",
        "Maximum age in seconds of a WebSocket or event stream that began with a key, 60 to 604800.",
    ),
    optional(
        "AUTHORITY_EPOCH",
        "Any text of 1 to 64 visible ASCII characters. Change it after the authority was restored from a backup.",
    ),
    optional(
        "CONTROL_HOST",
        "Host of the control plane, such as `keys.example.com`, with a port only if it is not 80 or 443: see [Two hosts](hosts.md). Without it the control plane is on every host.",
    ),
    optional(
        "ACCESS_TEAM_DOMAIN",
        "`https://<team>.cloudflareaccess.com`: members sign in through Cloudflare Access. Needs `ACCESS_AUDIENCE` and `CONTROL_HOST`.",
    ),
    optional(
        "ACCESS_AUDIENCE",
        "The audience tag of the Access application. Needs `ACCESS_TEAM_DOMAIN` and `CONTROL_HOST`.",
    ),
    optional(
        "ISSUER",
        "Issuer of the assertions: a URL without a query. Default: scheme and host of the request, with `/_keyward`.",
    ),
    setting(
        "ON_EXPOSURE",
        r#"{"url": "record", "browser": "record", "http": "record"}"#,
        "Action for a key in a URL, from a browser page and over plain HTTP, each `record`, `quarantine` or `revoke`: see [Exposed keys](../concepts/exposures.md). A kind that is left out is recorded.",
    ),
    setting(
        "IDLE_DAYS",
        "90",
        "Days without use after which a key is idle, 1 to 400. A key that was never used is idle 30 days after its issue, or sooner if this is less: see [Usage](../concepts/usage.md#idle-keys).",
    ),
    setting(
        "REVOKE_IDLE_DAYS",
        "0",
        "Days without use after which a key is revoked, 0 to 400; 0 revokes none. It is announced 30, 7 and 1 days before.",
    ),
    setting(
        "ROTATE_DAYS",
        "90",
        "Age of a key in days, 1 to 400, from which its rotation is overdue: see [Posture](../concepts/posture.md). Nothing is refused.",
    ),
    optional(
        "DEFAULT_LIMITS",
        r#"Limits of keys that have none of their own, as in the API: `[{"name": "burst", "requests": 100, "seconds": 60}]`. See [Limits](../concepts/limits.md)."#,
    ),
    setting(
        "LEAK_GITHUB_KEYS_URL",
        "https://api.github.com/meta/public_keys/secret_scanning",
        "URL of the keys that sign GitHub's leak reports; plain HTTP only on loopback: see [Leak reports](../guides/leak-reports.md).",
    ),
    Setting {
        name: "LEAK_GITLAB_TOKEN",
        default: None,
        required: false,
        secret: true,
        meaning: "At least 22 visible ASCII characters. `Authorization` of GitLab's leak reports. Without it their addresses are 404.",
    },
    optional(
        "EVENT_HOSTS",
        "Hosts to which events may go, such as `[\"hooks.example.com\", \"*.example.org\", \"hooks.example.net:8443\"]`: over HTTPS at port 443 or the port named. `localhost:*` allows plain HTTP to this machine, for local trials. Without it there are no endpoints: see [Events](../guides/events.md).",
    ),
    required("ROUTES", false, "Routes, each with the scope that it requires: see [ROUTES](routes.md)."),
];

/// Returns the table of settings in Markdown.
#[must_use]
pub fn settings_table() -> String {
    let mut table = "| setting | default | meaning |\n|---|---|---|\n".to_owned();
    for Setting { name, default, required, secret, meaning } in SETTINGS {
        let kind = match (required, secret) {
            (true, true) => "required, secret".to_owned(),
            (true, false) => "required".to_owned(),
            (false, true) => "none, secret".to_owned(),
            (false, false) => default.map_or_else(|| "none".to_owned(), |default| format!("`{default}`")),
        };
        table.push_str(&["| `", name, "` | ", &kind, " | ", meaning, " |\n"].concat());
    }
    table
}
