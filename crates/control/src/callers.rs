//! Per-isolate state about callers of the control plane, so that they cannot overload the authority: refusals, rates, and the
//! confirmations of gateways.
//!
//! The number of callers is bounded, and the least recently used are evicted first. Only callers whose credential has the right tag,
//! or whom Cloudflare Access signed in, get here.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::rate_limiter::{Debt, Rate};
use keyward_http::limits::{
    CLAIMS_REMEMBERED, CONFIRMATIONS_A_SECOND, CONTROL_QUERIES_A_SECOND, CONTROL_REQUESTS_A_SECOND,
    CREDENTIALS_REMEMBERED, FINAL_REFUSAL_MILLIS, POSTURE_MILLIS, POSTURES_AT_ONCE, REFUSAL_MILLIS,
    REFUSED_SIGN_INS_A_SECOND, SIGN_IN_MILLIS, SIGN_INS_AT_ONCE, WRONG_CLAIM_SECRET_MILLIS,
    WRONG_CLAIM_SECRETS_AT_ONCE,
};
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::{Caller, Role};

const CAPACITY: NonZeroUsize = match NonZeroUsize::new(CREDENTIALS_REMEMBERED) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

const CLAIMS: NonZeroUsize = match NonZeroUsize::new(CLAIMS_REMEMBERED) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

const WRONG_SECRETS: Rate = Rate { burst: WRONG_CLAIM_SECRETS_AT_ONCE, interval_ms: WRONG_CLAIM_SECRET_MILLIS };
const REQUESTS: Rate = Rate::a_second(CONTROL_REQUESTS_A_SECOND);
const REFUSALS: Rate = Rate::a_second(REFUSED_SIGN_INS_A_SECOND);
const SIGN_INS: Rate = Rate { burst: SIGN_INS_AT_ONCE, interval_ms: SIGN_IN_MILLIS };
const POSTURES: Rate = Rate { burst: POSTURES_AT_ONCE, interval_ms: POSTURE_MILLIS };
const QUERIES: Rate = Rate::a_second(CONTROL_QUERIES_A_SECOND);
const CONFIRMATIONS: Rate = Rate::a_second(CONFIRMATIONS_A_SECOND);

/// Name of a caller: the id and the hash of a credential, the hash of a session, or the address of a person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CallerName(String);

impl CallerName {
    /// Returns the name of a caller.
    pub fn of(caller: &Caller) -> Self {
        Self(match caller {
            Caller::Bootstrap => "bootstrap".to_owned(),
            Caller::Scraper => "scraper".to_owned(),
            Caller::Session { token_hash, .. } => ["session ", &token_hash.to_hex()].concat(),
            Caller::Access { email } => ["access ", &email.to_ascii_lowercase()].concat(),
            Caller::Credential { id, key_hash } | Caller::Holder { id, key_hash } => {
                [id.as_str(), " ", &key_hash.to_hex()].concat()
            }
            Caller::Claimant { id, secret_hash } => ["claim ", id.as_str(), " ", &secret_hash.to_hex()].concat(),
        })
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the isolate knows of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: one request asks the authority, and the others wait for its answer.
    Unknown,
    /// The authority accepted the sign-in. Each request asks for itself.
    Accepted,
    /// The authority refused the sign-in.
    Refused(Refused),
}

/// A refused sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// For the log.
    pub reason: String,
    pub is_final: bool,
}

/// What the authority said of a gateway's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// Instant before the query was sent. What the authority said held then, or later.
    pub asked_at: Millis,
    /// Role of the member.
    pub role: Role,
    /// Environments that the member is limited to.
    pub environments: Option<Vec<Environment>>,
}

impl Confirmation {
    /// Whether the confirmation may be used at `now`: it is younger than the bound, as the feed must be for the gate.
    pub fn is_fresh(&self, bound_seconds: u32, now: Millis) -> bool {
        (0..i64::from(bound_seconds).saturating_mul(1_000)).contains(&now.since(self.asked_at))
    }

    /// Whether the gateway vouches for clients with a key of that environment.
    pub fn vouches_for(&self, environment: Environment) -> bool {
        let limit = self.environments.as_ref();
        self.role.vouches() && limit.is_none_or(|environments| environments.contains(&environment))
    }
}

#[derive(Default)]
struct Known {
    requests: Debt,
    refusals: Debt,
    sign_ins: Debt,
    postures: Debt,
    accepted: bool,
    /// The refusal, and its instant.
    refused: Option<(Refused, Millis)>,
    confirmation: Option<Confirmation>,
}

impl Known {
    fn standing(&self, now: Millis) -> Standing {
        let fresh = self.refused.as_ref().filter(|(refused, at)| {
            let for_ms = if refused.is_final { FINAL_REFUSAL_MILLIS } else { REFUSAL_MILLIS };
            (0..for_ms).contains(&now.since(*at))
        });
        match fresh {
            Some((refused, _)) => Standing::Refused(refused.clone()),
            None if self.accepted => Standing::Accepted,
            None => Standing::Unknown,
        }
    }
}

/// The callers that one isolate tracks.
pub struct Callers {
    known: LruCache<CallerName, Known>,
    queries: Debt,
    confirmations: Debt,
    /// Wrong secrets for each claim, whether it exists or not.
    wrong_secrets: LruCache<KeyId, Debt>,
}

impl Default for Callers {
    fn default() -> Self {
        let mut known = LruCache::unbounded();
        known.resize(CAPACITY);
        let mut wrong_secrets = LruCache::unbounded();
        wrong_secrets.resize(CLAIMS);
        Self { known, queries: Debt::default(), confirmations: Debt::default(), wrong_secrets }
    }
}

impl Callers {
    fn of(&mut self, name: &CallerName) -> &mut Known {
        self.known.get_or_insert_mut_ref(name, Known::default)
    }

    /// Admits one request of a caller, and returns what is known of them.
    ///
    /// # Errors
    /// The whole seconds after which the next one passes.
    pub(super) fn admit(&mut self, name: &CallerName, now: Millis) -> Result<Standing, i64> {
        let known = self.of(name);
        known.refusals.check(REFUSALS, now)?;
        known.requests.take(REQUESTS, now)?;
        let standing = known.standing(now);
        if matches!(standing, Standing::Refused(_)) {
            known.refusals.add(REFUSALS, now);
        }
        Ok(standing)
    }

    /// Counts one start of a session.
    ///
    /// # Errors
    /// The whole seconds after which the next one passes.
    pub(super) fn take_sign_in(&mut self, name: &CallerName, now: Millis) -> Result<(), i64> {
        self.of(name).sign_ins.take(SIGN_INS, now)
    }

    /// Counts one reading of the posture.
    ///
    /// # Errors
    /// The whole seconds after which the next one passes.
    pub(super) fn take_posture(&mut self, name: &CallerName, now: Millis) -> Result<(), i64> {
        self.of(name).postures.take(POSTURES, now)
    }

    /// Returns what is known of a caller.
    pub(super) fn standing(&mut self, name: &CallerName, now: Millis) -> Standing {
        self.known.get(name).map_or(Standing::Unknown, |known| known.standing(now))
    }

    /// Counts a wrong secret for a claim. A right one is not counted, and wrong ones do not limit it.
    ///
    /// # Errors
    /// The whole seconds after which the next one is answered.
    pub(super) fn wrong_secret(&mut self, claim: &KeyId, now: Millis) -> Result<(), i64> {
        self.wrong_secrets.get_or_insert_mut_ref(claim, Debt::default).take(WRONG_SECRETS, now)
    }

    /// Takes one query to the authority from the isolate's rate.
    ///
    /// # Errors
    /// The whole seconds after which the next one passes.
    pub(super) fn take_query(&mut self, now: Millis) -> Result<(), i64> {
        self.queries.take(QUERIES, now)
    }

    /// Takes one query that confirms a gateway: from a rate of its own if the gateway was confirmed before, so that nobody else uses it
    /// up, and otherwise from the isolate's rate.
    ///
    /// # Errors
    /// The whole seconds after which the next one passes.
    pub(super) fn take_confirmation(&mut self, name: &CallerName, now: Millis) -> Result<(), i64> {
        let own = self.confirmation(name).is_some().then(|| self.confirmations.take(CONFIRMATIONS, now));
        if own == Some(Ok(())) { Ok(()) } else { self.take_query(now) }
    }

    /// Records that the authority accepted a sign-in.
    pub(super) fn accepted(&mut self, name: &CallerName) {
        self.of(name).accepted = true;
    }

    /// Records that the authority refused a sign-in.
    pub(super) fn refused(&mut self, name: &CallerName, refused: Refused, now: Millis) {
        let known = self.of(name);
        known.refusals.add(REFUSALS, now);
        known.accepted = false;
        known.confirmation = None;
        known.refused = Some((refused, now));
    }

    /// Records what the authority said of a gateway's credential.
    pub(super) fn confirmed(&mut self, name: &CallerName, confirmation: Confirmation) {
        let known = self.of(name);
        known.accepted = true;
        known.confirmation = Some(confirmation);
    }

    /// Returns what the authority said last of a gateway's credential.
    pub(super) fn confirmation(&mut self, name: &CallerName) -> Option<&Confirmation> {
        self.known.get(name)?.confirmation.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_442_523_004);

    fn named(text: &str) -> CallerName {
        CallerName(text.to_owned())
    }

    fn revoked() -> Refused {
        Refused { reason: "the member is revoked".to_owned(), is_final: true }
    }

    #[test]
    fn a_final_refusal_is_remembered_for_ten_minutes_and_any_other_for_a_second() {
        for (is_final, for_ms) in [(true, 600_000), (false, 1_000)] {
            let mut callers = Callers::default();
            let refused = Refused { is_final, ..revoked() };
            callers.accepted(&named("a"));
            callers.refused(&named("a"), refused.clone(), NOW);
            for (at, expected) in [
                (0, Standing::Refused(refused.clone())),
                (for_ms - 1, Standing::Refused(refused.clone())),
                (for_ms, Standing::Unknown),
                (-1, Standing::Unknown),
            ] {
                assert_eq!(callers.standing(&named("a"), Millis(NOW.0 + at)), expected, "{at}");
            }
            assert_eq!(callers.standing(&named("b"), NOW), Standing::Unknown);
        }
    }

    #[test]
    fn a_caller_has_100_requests_a_second_and_20_refused_sign_ins() {
        let admitted = |callers: &mut Callers, at: i64| {
            (0..1_000).filter(|_| callers.admit(&named("a"), Millis(NOW.0 + at)).is_ok()).count()
        };
        let mut callers = Callers::default();
        callers.accepted(&named("a"));
        assert_eq!(admitted(&mut callers, 0), 100);
        assert_eq!(callers.admit(&named("a"), NOW), Err(1));
        assert_eq!(callers.admit(&named("b"), NOW), Ok(Standing::Unknown), "another caller has their own rate");
        assert_eq!(admitted(&mut callers, 1_000), 100);

        let mut callers = Callers::default();
        callers.refused(&named("a"), revoked(), NOW);
        assert_eq!(admitted(&mut callers, 0), 19);
        assert_eq!(admitted(&mut callers, 1_000), 20);
    }

    #[test]
    fn an_isolate_has_200_queries_a_second() {
        let mut callers = Callers::default();
        assert_eq!((0..1_000).filter(|_| callers.take_query(NOW).is_ok()).count(), 200);
        assert_eq!(callers.take_query(Millis(NOW.0 + 5)), Ok(()));
    }

    #[test]
    fn a_refusal_ends_a_confirmation() {
        let mut callers = Callers::default();
        callers.confirmed(&named("a"), Confirmation { asked_at: NOW, role: Role::Verifier, environments: None });
        assert!(callers.confirmation(&named("a")).is_some());
        callers.refused(&named("a"), revoked(), NOW);
        assert!(callers.confirmation(&named("a")).is_none());
    }

    #[test]
    fn a_confirmation_is_good_for_the_bound_and_for_its_environments() {
        let limited = |role, environments| Confirmation { asked_at: NOW, role, environments };
        let confirmation = limited(Role::Verifier, Some(vec![Environment::Test]));
        for (at, fresh) in [(0, true), (4_999, true), (5_000, false), (-1, false)] {
            assert_eq!(confirmation.is_fresh(5, Millis(NOW.0 + at)), fresh, "{at}");
        }
        assert!(confirmation.vouches_for(Environment::Test) && !confirmation.vouches_for(Environment::Live));
        for role in Role::ALL {
            assert_eq!(limited(role, None).vouches_for(Environment::Live), role == Role::Verifier, "{role:?}");
        }
    }

    #[test]
    fn the_number_of_callers_is_bounded() {
        let mut callers = Callers::default();
        for number in 0..5_000 {
            let _ = callers.admit(&named(&number.to_string()), NOW);
        }
        assert_eq!(callers.known.len(), CREDENTIALS_REMEMBERED);
    }
}
