//! What happened in one history: plain data, with true times in milliseconds since its beginning. Clocks are shown in milliseconds
//! since 1970.

pub type Time = i64;

#[derive(Default)]
pub struct History {
    /// `REVOCATION_BOUND_SECONDS`, in milliseconds.
    pub bound: Time,
    /// `OUTAGE_GRACE_SECONDS`, in milliseconds.
    pub grace: Time,
    /// No isolate evicts a key from its cache: the cache holds every key of a history.
    pub cache_holds_all: bool,
    /// In the order in which it happened.
    pub records: Vec<Record>,
    pub quiescence: Ending,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub at: Time,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// From now on the authority has this of a key.
    State { key: usize, revision: u64, state: State },
    /// Somebody was told that a change of a key was made.
    Confirmed { key: usize, revision: u64, change: &'static str },
    /// The authority was set back to what it was at `to`. The states of all keys follow.
    Restored { to: Time, announced: bool },
    /// The authority has begun a new history.
    EpochBegan,
    /// The registry's object started anew.
    ObjectRestarted,
    /// An isolate appears.
    Born { isolate: usize, location: usize, clock: i64 },
    /// An isolate and all that it was at is gone.
    Died { isolate: usize },
    /// Something that an isolate was at was cut off.
    Cut { isolate: usize },
    /// An isolate's clock has stepped.
    Stepped { isolate: usize, by: Time },
    /// An isolate has asked the authority for something and has its answer or its failure.
    Asked { isolate: usize, about: About, first: Time, asked: Time, clock: i64, outcome: QueryResult },
    /// An isolate was given a text by its data centre's cache. `asked` is when the authority had been asked for it, `replayed`
    /// whether the cache had been tampered with.
    Read { isolate: usize, kind: CacheEntryKind, asked: Time, replayed: bool },
    /// An isolate wrote to the log.
    Logged { isolate: usize, event: String, clock: i64, fields: String },
    /// Something of the world went wrong, or was done to it.
    Fault { what: String },
    /// A request has come to an isolate, whose clock shows this.
    Arrived { isolate: usize, clock: i64 },
    /// A request was answered.
    Answered(Answered),
}

/// What an isolate asks the authority about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    FeedPage,
    Key,
    ControlRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// No answer, or none in time.
    Failed,
    /// Every change up to some time after the question.
    Complete,
    /// A part of what has changed.
    Part,
    /// The first part of a new history: the authority found that it was restored.
    Restored,
    /// About a key or an operation.
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
    /// The change that made this state ended it (a rotation without an overlap): it is over by anybody's clock.
    pub over: bool,
    /// By the clock of whoever asks.
    pub expires_at: i64,
    /// A bit for each scope.
    pub scopes: u8,
    /// A bit for each client address.
    pub addresses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presents {
    /// The key as it was issued.
    Right,
    WrongSecret,
    /// Something whose tag is not ours.
    Garbage,
}

#[derive(Clone, Debug)]
pub struct Answered {
    pub isolate: usize,
    pub key: usize,
    pub presents: Presents,
    /// The bit of the scope that the route needs.
    pub scope: u8,
    /// The bit of the client's address.
    pub address: u8,
    /// The route says `on_outage = "closed"`.
    pub closed: bool,
    pub arrived: Time,
    /// The isolate's clock when the request came, and when it was decided.
    pub clock_then: i64,
    pub clock: i64,
    /// Whether it was decided without asking any store.
    pub at_once: bool,
    pub verdict: Verdict,
    /// The seconds in `Keyward-Authority: unreachable; age=NN`.
    pub age: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Accepted,
    Invalid,
    Revoked,
    Expired,
    Address,
    Scope,
    Unavailable,
    /// An answer that no request of ours may get.
    Other,
}

/// What is there after the faults have stopped and everything had time to settle.
#[derive(Default)]
pub struct Ending {
    pub keys: Vec<Settled>,
    pub audit: Vec<Entry>,
    /// How many copies wait to be written.
    pub pending: usize,
}

/// A key in the authority, and its copy in KV.
#[derive(Clone, Debug)]
pub struct Settled {
    pub key: usize,
    pub revision: u64,
    /// Past its end, by the registry's clock.
    pub past_end: bool,
    /// The revision of KV's copy, if it is there, authentic, and of the present epoch.
    pub copy: Option<u64>,
    /// KV was tampered with, or did not do what it said, since the copy was last written in order.
    pub spoilt: bool,
}

/// An entry of the audit log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub sequence: u64,
    pub subject: Option<usize>,
    pub previous: String,
    pub hash: String,
}
