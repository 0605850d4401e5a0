//! Record of one simulated history, as plain data. Times are true time, in milliseconds since the history began. A `clock` is a reading of
//! the clock of an isolate or of the registry, in milliseconds since 1970.

pub type Time = i64;

#[derive(Default)]
pub struct History {
    /// `REVOCATION_BOUND_SECONDS` in milliseconds.
    pub bound_ms: Time,
    /// `OUTAGE_GRACE_SECONDS` in milliseconds.
    pub grace_ms: Time,
    /// The cache of an isolate has room for every key of the history, so nothing is evicted.
    pub caches_every_key: bool,
    /// Events in the order in which they happened.
    pub records: Vec<Record>,
    pub quiescence: Quiescence,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub at: Time,
    pub event: Event,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// The authority committed this state of a key.
    StateChanged {
        key: usize,
        revision: u64,
        state: State,
    },
    /// A caller of the control plane received the confirmation of a change.
    ChangeConfirmed {
        key: usize,
        revision: u64,
        change: &'static str,
    },
    /// The authority was restored to a backup made at `to`. The resulting states of all keys follow.
    Restored {
        to: Time,
        announced: bool,
    },
    /// The authority started a new epoch.
    EpochStarted,
    /// The registry's object restarted.
    ObjectRestarted,
    IsolateStarted {
        isolate: usize,
        location: usize,
        clock: i64,
    },
    /// An isolate stopped, with all its tasks.
    IsolateStopped {
        isolate: usize,
    },
    /// One task of an isolate was cancelled.
    TaskCancelled {
        isolate: usize,
    },
    ClockStepped {
        isolate: usize,
        by: Time,
    },
    /// A query of the authority finished: `first` is when the first attempt was sent, `asked` when the last one was.
    QueryFinished {
        isolate: usize,
        subject: QuerySubject,
        first: Time,
        asked: Time,
        clock: i64,
        outcome: QueryResult,
    },
    /// An isolate read an entry of its data centre's cache. `asked` is when the authority was asked for it, `replayed` whether an
    /// attacker put the entry back.
    CacheRead {
        isolate: usize,
        kind: CacheEntryKind,
        asked: Time,
        replayed: bool,
    },
    /// An isolate wrote to the log.
    Logged {
        isolate: usize,
        event: String,
        clock: i64,
        fields: String,
    },
    /// A fault or an attack occurred.
    Fault {
        description: String,
    },
    RequestArrived {
        isolate: usize,
        clock: i64,
    },
    Answered(Answered),
}

/// Kind of message that an isolate sends to the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuerySubject {
    FeedPage,
    Key,
    ControlRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// No answer before the timeout.
    Failed,
    /// Every change up to some time after the query was sent.
    Complete,
    /// Some of the changes: more pages follow.
    Partial,
    /// The first page of a new epoch: the authority noticed that it was restored.
    Restored,
    /// The answer to a lookup or to a control request.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheEntryKind {
    Fresh,
    Last,
    Page,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Absent,
    Present(Rights),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    pub revoked: bool,
    /// Refused after an exposure, until it is released.
    pub quarantined: bool,
    /// The change itself ended the key (a rotation without overlap), so the key is expired by every clock.
    pub ended_by_change: bool,
    /// End of the key by the clock of the isolate that decides, in milliseconds since 1970.
    pub expires_at: i64,
    /// A bit for each scope.
    pub scopes: u8,
    /// A bit for each client address.
    pub addresses: u8,
}

/// Credential that a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The key as it was issued.
    Issued,
    /// The key's id with another secret and a valid tag.
    WrongSecret,
    /// A key whose tag another keyring made.
    ForgedTag,
}

#[derive(Clone, Debug)]
pub struct Answered {
    pub isolate: usize,
    pub key: usize,
    pub credential: Credential,
    /// Bit of the scope that the route needs.
    pub scope: u8,
    /// Bit of the client's address.
    pub address: u8,
    /// The route is configured with `on_outage = "closed"`.
    pub closed: bool,
    pub arrived: Time,
    /// The isolate's clock when it decided.
    pub clock: i64,
    /// The gate decided without reading any store.
    pub without_read: bool,
    pub verdict: Verdict,
    /// Seconds in `Keyward-Authority: unreachable; age=NN`.
    pub age_seconds: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Accepted,
    Invalid,
    Revoked,
    Expired,
    Quarantined,
    Address,
    Scope,
    Unavailable,
    /// An answer that no simulated request may get.
    Other,
}

/// State of authority and KV after the faults stopped and all background work finished.
#[derive(Default)]
pub struct Quiescence {
    pub keys: Vec<SettledKey>,
    pub audit: Vec<AuditEntry>,
    /// Number of copies that are not yet written to KV.
    pub pending: usize,
}

/// A key in the authority, and its copy in KV.
#[derive(Clone, Debug)]
pub struct SettledKey {
    pub key: usize,
    pub revision: u64,
    /// Expired by the registry's clock.
    pub expired: bool,
    /// Revision of the copy in KV, if it exists, is authentic and belongs to the current epoch.
    pub copy: Option<u64>,
    /// KV misbehaved or was tampered with since the last write of the copy that worked.
    pub corrupted: bool,
}

#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub sequence: u64,
    pub subject: Option<usize>,
    pub previous: String,
    pub hash: String,
}
