//! Reference model of the registry: lists in memory, and each operation's checks in the order of its refusals.

use std::collections::BTreeMap;

use keyward_key::id::Environment;
use keyward_protocol::role::Role;

pub const DAY: i64 = 86_400_000;
pub const MAX_DAYS: i64 = 365;

/// An operation on keys and members, given by their numbers. The caller of `RevokeByHolder` presents the key with that secret.
#[derive(Clone, Debug)]
pub enum Op {
    Issue {
        new: u32,
        environment: Environment,
        integration: u8,
        name: u8,
        days: i64,
        claim_hours: Option<u32>,
    },
    UpdateKey {
        key: u32,
        name: Option<u8>,
        wide: Option<bool>,
        end: Option<i64>,
    },
    RotateKey {
        key: u32,
        new: u32,
        overlap: i64,
        claim_hours: Option<u32>,
    },
    RevokeKey {
        key: u32,
    },
    RevokeByHolder {
        key: u32,
        secret: u32,
    },
    /// The caller of these three presents the claim's secret. The attempt of the step is the nonce.
    ClaimKey {
        key: u32,
        secret: u32,
    },
    LookUpClaim {
        key: u32,
        secret: u32,
    },
    RevokeByClaimant {
        key: u32,
        secret: u32,
    },
    WithdrawClaim {
        key: u32,
    },
    CreateMember {
        new: u32,
        role: Role,
        limit: Limit,
        email: u8,
        days: i64,
    },
    UpdateMember {
        member: u32,
        role: Option<Role>,
        limit: Option<Limit>,
        email: Option<u8>,
        days: Option<i64>,
    },
    RotateMember {
        member: u32,
        secret: u32,
    },
    RevokeMember {
        member: u32,
    },
    ShowKey {
        key: u32,
    },
    ListKeys,
    ReadAudit,
}

/// Environments to which a member is limited. `None` means no limit.
pub type Limit = Option<Vec<Environment>>;

/// One attempt under an `Idempotency-Key`: the numbers of the header and of the body.
pub type Attempt = (u8, u8);

#[derive(Clone, Debug)]
pub struct Step {
    pub member: u32,
    pub secret: u32,
    pub access: bool,
    pub op: Op,
    pub attempt: Option<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelOutcome {
    Done,
    /// With the secret of the first attempt.
    Replayed(u32),
    Refused(&'static str),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub number: u32,
    pub environment: Environment,
    pub integration: u8,
    pub name: u8,
    pub wide: bool,
    pub created_at: i64,
    pub expires_at: i64,
    pub rotated_from: Option<u32>,
    pub successor: Option<u32>,
    pub revoked: bool,
    pub claim: Option<Claim>,
}

/// The claim of a key. Its secret has the key's number.
#[derive(Clone, Debug)]
pub struct Claim {
    pub expires_at: i64,
    pub overlap: i64,
    pub state: ClaimState,
    pub ended_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    Open,
    Claimed,
    Withdrawn,
    Expired,
    Revoked,
}

impl Claim {
    fn admits(&self, now: i64) -> bool {
        match self.state {
            ClaimState::Open => now < self.expires_at,
            ClaimState::Claimed | ClaimState::Revoked => now < self.expires_at.max(self.ended_at + 600_000),
            ClaimState::Withdrawn | ClaimState::Expired => false,
        }
    }

    fn end(&mut self, state: ClaimState, now: i64) {
        if self.state == ClaimState::Open {
            (self.state, self.ended_at) = (state, now);
        }
    }
}

#[derive(Clone, Debug)]
pub struct Member {
    pub number: u32,
    pub secret: u32,
    pub role: Role,
    pub limit: Limit,
    pub email: u8,
    pub expires_at: i64,
    pub days: i64,
    pub revoked: bool,
    /// The secret before, and until when it works, while the one that replaced it is unused.
    pub previous: Option<(u32, i64)>,
    pub email_by_limited: bool,
}

pub struct RecordedAttempt {
    member: u32,
    attempt: Attempt,
    kind: u8,
    secret: u32,
    at: i64,
}

#[derive(Default)]
pub struct Model {
    pub now: i64,
    pub keys: Vec<Key>,
    pub members: Vec<Member>,
    /// Changes so far, and answers shown again: the revision and the length of the log.
    pub changes: u64,
    /// Number of the last one that changed a key or member.
    pub last_change: u64,
    pub recorded_attempts: Vec<RecordedAttempt>,
    /// Time of the last entry that each claim's key was shown again.
    pub shown_again: BTreeMap<u32, i64>,
}

impl Key {
    pub fn status(&self, now: i64) -> &'static str {
        match self {
            _ if self.revoked => "revoked",
            _ if self.expires_at <= now => "expired",
            _ if self.waits() => "pending",
            _ if self.successor.is_some() => "retiring",
            _ => "active",
        }
    }

    /// Whether the key has no secret yet, or never got one.
    fn waits(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.state != ClaimState::Claimed)
    }

    fn is_current(&self, now: i64) -> bool {
        matches!(self.status(now), "active" | "pending")
    }

    fn revoke(&mut self, state: ClaimState, now: i64) -> bool {
        if let Some(claim) = &mut self.claim {
            claim.end(state, now);
        }
        !std::mem::replace(&mut self.revoked, true)
    }
}

impl Member {
    pub fn active(&self, now: i64) -> bool {
        !self.revoked && now < self.expires_at
    }

    fn accepts(&self, secret: u32, now: i64) -> bool {
        self.secret == secret || self.previous.is_some_and(|(old, until)| old == secret && now < until)
    }

    fn sees(&self, environment: Environment) -> bool {
        self.limit.as_ref().is_none_or(|limit| limit.contains(&environment))
    }

    fn covers(&self, limit: &Limit) -> bool {
        self.limit.is_none() || limit.as_ref().is_some_and(|limit| limit.iter().all(|one| self.sees(*one)))
    }
}

fn roles(op: &Op) -> &'static [Role] {
    use Role::*;
    match op {
        Op::Issue { .. } | Op::UpdateKey { .. } | Op::RotateKey { .. } | Op::WithdrawClaim { .. } => &[Owner, Manager],
        Op::RevokeKey { .. } => &[Owner, Manager, Responder],
        Op::ShowKey { .. } | Op::ListKeys => &[Owner, Manager, Responder, Auditor],
        Op::ReadAudit => &[Owner, Responder, Auditor],
        _ => &[Owner],
    }
}

fn open_claim(now: i64, hours: u32, overlap: i64, key_ends_at: i64) -> Claim {
    let expires_at = (now + i64::from(hours) * 3_600_000).min(key_ends_at);
    Claim { expires_at, overlap, state: ClaimState::Open, ended_at: 0 }
}

/// Returns the kind of a minting operation, which a retry must share, and the number of the new secret.
fn minting(op: &Op) -> Option<(u8, u32)> {
    match op {
        Op::Issue { new, .. } => Some((0, *new)),
        Op::RotateKey { new, .. } => Some((1, *new)),
        Op::CreateMember { new, .. } => Some((2, *new)),
        Op::RotateMember { secret, .. } => Some((3, *secret)),
        _ => None,
    }
}

impl Model {
    pub fn full_owners(&self) -> usize {
        let full = |member: &&Member| member.role == Role::Owner && member.limit.is_none() && member.active(self.now);
        self.members.iter().filter(full).count()
    }

    /// Applies a step and returns its expected outcome.
    pub fn take(&mut self, step: &Step) -> ModelOutcome {
        let (members, changes, last_change) = (self.members.clone(), self.changes, self.last_change);
        self.run(step).unwrap_or_else(|refused| {
            // A refused write leaves nothing. A refused read may have ended a handover.
            if !matches!(step.op, Op::ShowKey { .. } | Op::ListKeys | Op::ReadAudit | Op::LookUpClaim { .. }) {
                (self.members, self.changes, self.last_change) = (members, changes, last_change);
            }
            ModelOutcome::Refused(refused)
        })
    }

    /// Ends the claims whose time is over.
    pub fn end_claims(&mut self) {
        let now = self.now;
        for at in 0..self.keys.len() {
            let over = |claim: &Claim| claim.state == ClaimState::Open && claim.expires_at <= now;
            if self.keys[at].claim.as_ref().is_some_and(over) {
                let changed = self.keys[at].revoke(ClaimState::Expired, now);
                self.count(changed);
            }
        }
    }

    /// Applies a step of a caller who holds a claim's secret.
    fn run_as_claimant(&mut self, step: &Step, key: u32, secret: u32) -> Result<ModelOutcome, &'static str> {
        let now = self.now;
        let held = |one: &Key| one.number == key && key == secret;
        let at = self.keys.iter().position(held).ok_or("unauthenticated")?;
        let claim = self.keys[at].claim.clone().filter(|claim| claim.admits(now)).ok_or("unauthenticated")?;
        match step.op {
            Op::RevokeByClaimant { .. } => {
                let changed = self.keys[at].revoke(ClaimState::Revoked, now);
                self.count(changed);
                return Ok(ModelOutcome::Done);
            }
            Op::LookUpClaim { .. } => {
                let shown = matches!(claim.state, ClaimState::Open | ClaimState::Claimed);
                return if shown { Ok(ModelOutcome::Done) } else { Err("not_found") };
            }
            _ => {}
        }
        let attempt = step.attempt.expect("a nonce");
        let same = |first: &&RecordedAttempt| {
            (first.member, first.kind, first.attempt.0) == (key, 4, attempt.0) && now - first.at < 600_000
        };
        if let Some(first) = self.recorded_attempts.iter().rev().find(same) {
            // A claim has one entry about this in a minute.
            if self.shown_again.get(&key).is_none_or(|at| now - at >= 60_000) {
                self.shown_again.insert(key, now);
                self.changes += 1;
            }
            return Ok(ModelOutcome::Replayed(first.secret));
        }
        match claim.state {
            ClaimState::Claimed => return Err("already_claimed"),
            ClaimState::Open if self.keys[at].status(now) == "pending" => {}
            _ => return Err("not_found"),
        }
        if let Some(claim) = &mut self.keys[at].claim {
            claim.end(ClaimState::Claimed, now);
        }
        if let Some(old) = self.keys[at].rotated_from {
            let old = self.key(old);
            let old = &mut self.keys[old];
            if old.status(now) == "active" {
                old.successor = Some(key);
                old.expires_at = old.expires_at.min(now + claim.overlap * 1000);
            }
        }
        self.count(true);
        self.recorded_attempts.push(RecordedAttempt { member: key, attempt, kind: 4, secret: key, at: now });
        Ok(ModelOutcome::Done)
    }

    fn run(&mut self, step: &Step) -> Result<ModelOutcome, &'static str> {
        let now = self.now;
        if let Op::RevokeByHolder { key, secret } = step.op {
            let held = |one: &&mut Key| one.number == key && key == secret && !one.waits();
            let held = self.keys.iter_mut().find(held).ok_or("unauthenticated")?;
            let changed = !std::mem::replace(&mut held.revoked, true);
            self.count(changed);
            return Ok(ModelOutcome::Done);
        }
        if let Op::ClaimKey { key, secret } | Op::LookUpClaim { key, secret } | Op::RevokeByClaimant { key, secret } =
            step.op
        {
            return self.run_as_claimant(step, key, secret);
        }
        let named = self.members.iter().find(|member| member.number == step.member).ok_or("unauthenticated")?;
        // Cloudflare Access identifies an email address, which may belong to another member by now.
        let has_address = |member: &&Member| !member.revoked && member.email == named.email;
        let caller = if step.access { self.members.iter().find(has_address) } else { Some(named) };
        let mut caller = caller.ok_or("unauthenticated")?.clone();
        if !caller.active(now) || !(step.access || caller.accepts(step.secret, now)) {
            return Err("unauthenticated");
        }
        if !step.access && caller.secret == step.secret {
            caller.previous = None;
            let at = self.member(caller.number);
            self.members[at].previous = None;
        }
        if !roles(&step.op).contains(&caller.role) {
            return Err("forbidden");
        }
        self.check_limit(&caller, &step.op)?;
        let minting = minting(&step.op);
        if let (Some(attempt), Some((kind, _))) = (step.attempt, minting) {
            let same = |first: &&RecordedAttempt| {
                first.member == caller.number
                    && first.kind == kind
                    && first.attempt.0 == attempt.0
                    && now - first.at < 600_000
            };
            if let Some(first) = self.recorded_attempts.iter().rev().find(same) {
                return if first.attempt == attempt {
                    self.changes += 1;
                    Ok(ModelOutcome::Replayed(first.secret))
                } else {
                    Err("mismatch")
                };
            }
        }
        let changed = self.change(&step.op, &caller)?;
        self.count(changed);
        if let (Some(attempt), Some((kind, secret))) = (step.attempt, minting) {
            self.recorded_attempts.push(RecordedAttempt { member: caller.number, attempt, kind, secret, at: now });
        }
        Ok(ModelOutcome::Done)
    }

    fn count(&mut self, changed: bool) {
        if changed {
            self.changes += 1;
            self.last_change = self.changes;
        }
    }

    fn check_limit(&self, caller: &Member, op: &Op) -> Result<(), &'static str> {
        let allow = |allowed| if allowed { Ok(()) } else { Err("forbidden") };
        match op {
            Op::Issue { environment, .. } => allow(caller.sees(*environment)),
            Op::UpdateKey { key, .. }
            | Op::RotateKey { key, .. }
            | Op::RevokeKey { key }
            | Op::ShowKey { key }
            | Op::WithdrawClaim { key } => {
                let seen = |one: &&Key| one.number == *key && caller.sees(one.environment);
                self.keys.iter().find(seen).map(drop).ok_or("not_found")
            }
            Op::CreateMember { limit, .. } => allow(caller.covers(limit)),
            Op::UpdateMember { member, .. } | Op::RotateMember { member, .. } | Op::RevokeMember { member } => {
                let seen = |one: &&Member| one.number == *member && caller.covers(&one.limit);
                self.members.iter().find(seen).ok_or("not_found")?;
                if let Op::UpdateMember { limit: Some(limit), .. } = op { allow(caller.covers(limit)) } else { Ok(()) }
            }
            Op::ReadAudit => allow(caller.limit.is_none()),
            _ => Ok(()),
        }
    }

    /// Applies an operation and returns whether it changed anything.
    fn change(&mut self, op: &Op, caller: &Member) -> Result<bool, &'static str> {
        let now = self.now;
        match op.clone() {
            Op::Issue { new, environment, integration, name, days, claim_hours } => {
                let current = |key: &&Key| key.environment == environment && key.is_current(now);
                if self.keys.iter().filter(current).any(|key| key.integration == integration) {
                    return Err("integration_has_key");
                }
                if self.keys.iter().filter(current).any(|key| key.name == name) {
                    return Err("name_taken");
                }
                let expires_at = now + days * DAY;
                let claim = claim_hours.map(|hours| open_claim(now, hours, 0, expires_at));
                self.keys.push(Key {
                    number: new,
                    environment,
                    integration,
                    name,
                    wide: false,
                    created_at: now,
                    expires_at,
                    rotated_from: None,
                    successor: None,
                    revoked: false,
                    claim,
                });
                Ok(true)
            }
            Op::UpdateKey { key, name, wide, end } => {
                let at = self.key(key);
                let old = self.keys[at].clone();
                let status = old.status(now);
                if status == "revoked" || status == "expired" {
                    return Err("not_active");
                }
                if end.is_some_and(|end| end <= now || end > now + MAX_DAYS * DAY) {
                    return Err("invalid");
                }
                if status == "retiring" {
                    if wide == Some(true) && !old.wide || end.is_some_and(|end| end > old.expires_at) {
                        return Err("invalid");
                    }
                } else if let Some(name) = name {
                    // A key and the successor that waits for its claim share their name.
                    let other = |one: &Key| {
                        one.integration != old.integration
                            && one.environment == old.environment
                            && one.name == name
                            && one.is_current(now)
                    };
                    if self.keys.iter().any(other) {
                        return Err("name_taken");
                    }
                }
                let new = &mut self.keys[at];
                new.name = name.unwrap_or(old.name);
                new.wide = wide.unwrap_or(old.wide);
                new.expires_at = end.unwrap_or(old.expires_at);
                if let Some(claim) = new.claim.as_mut().filter(|_| status == "pending") {
                    claim.expires_at = claim.expires_at.min(new.expires_at);
                }
                let changed = (new.name, new.wide, new.expires_at) != (old.name, old.wide, old.expires_at);
                // The successor that waits for its claim changes too, except for its end, with a number and an entry of its own.
                let waits = |one: &&mut Key| one.rotated_from == Some(key) && one.status(now) == "pending";
                let mut changes_successor = false;
                if let Some(successor) = self.keys.iter_mut().find(waits) {
                    let before = (successor.name, successor.wide);
                    successor.name = name.unwrap_or(successor.name);
                    successor.wide = wide.unwrap_or(successor.wide);
                    changes_successor = (successor.name, successor.wide) != before;
                }
                self.count(changed && changes_successor);
                Ok(changed || changes_successor)
            }
            Op::RotateKey { key, new, overlap, claim_hours } => {
                let at = self.key(key);
                if self.keys[at].status(now) != "active" {
                    return Err("not_active");
                }
                let waits = |one: &Key| one.rotated_from == Some(key) && one.status(now) == "pending";
                if self.keys.iter().any(waits) {
                    return Err("successor_pending");
                }
                let old = &mut self.keys[at];
                let life = (old.expires_at - old.created_at).min(MAX_DAYS * DAY);
                let mut successor = Key { number: new, created_at: now, expires_at: now + life, ..old.clone() };
                successor.rotated_from = Some(key);
                successor.claim = claim_hours.map(|hours| open_claim(now, hours, overlap, successor.expires_at));
                if successor.claim.is_none() {
                    old.successor = Some(new);
                    old.expires_at = old.expires_at.min(now + overlap * 1000);
                }
                self.keys.push(successor);
                Ok(true)
            }
            Op::RevokeKey { key } => {
                let at = self.key(key);
                Ok(self.keys[at].revoke(ClaimState::Revoked, now))
            }
            Op::WithdrawClaim { key } => {
                let at = self.key(key);
                match self.keys[at].claim.as_ref().map(|claim| claim.state) {
                    None => Err("not_found"),
                    Some(ClaimState::Claimed) => Err("already_claimed"),
                    Some(ClaimState::Open) => Ok(self.keys[at].revoke(ClaimState::Withdrawn, now)),
                    Some(_) => Ok(false),
                }
            }
            Op::CreateMember { new, role, limit, email, days } => {
                self.free_email(caller, email, None)?;
                let expires_at = now + days * DAY;
                self.members.push(Member {
                    number: new,
                    secret: new,
                    role,
                    limit,
                    email,
                    expires_at,
                    days,
                    revoked: false,
                    previous: None,
                    email_by_limited: caller.limit.is_some(),
                });
                Ok(true)
            }
            Op::UpdateMember { member, role, limit, email, days } => {
                let at = self.member(member);
                let old = self.members[at].clone();
                if old.revoked || days.is_some() && !old.active(now) {
                    return Err("not_active");
                }
                let email = email.unwrap_or(old.email);
                self.free_email(caller, email, Some(member))?;
                let (role, limit) = (role.unwrap_or(old.role), limit.unwrap_or(old.limit.clone()));
                self.check_last_owner(&old, role == Role::Owner && limit.is_none())?;
                let expires_at = days.map_or(old.expires_at, |days| now + days * DAY);
                if (role, &limit, email, expires_at) == (old.role, &old.limit, old.email, old.expires_at) {
                    return Ok(false);
                }
                let days = days.unwrap_or(old.days);
                let email_by_limited = caller.limit.is_some() && (old.email_by_limited || old.email != email);
                self.members[at] = Member { role, limit, email, days, expires_at, email_by_limited, ..old };
                Ok(true)
            }
            Op::RotateMember { member, secret } => {
                let at = self.member(member);
                let member = &mut self.members[at];
                if member.revoked {
                    return Err("not_active");
                }
                let works = member.previous.filter(|(_, until)| now < *until);
                let old = works.map_or(member.secret, |(old, _)| old);
                let own = caller.number == member.number;
                member.previous = own.then(|| (old, member.expires_at.min(now + 600_000)));
                member.secret = secret;
                member.expires_at = now + member.days * DAY;
                Ok(true)
            }
            Op::RevokeMember { member } => {
                let at = self.member(member);
                if self.members[at].revoked {
                    return Ok(false);
                }
                self.check_last_owner(&self.members[at], false)?;
                self.members[at].revoked = true;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn free_email(&mut self, caller: &Member, email: u8, of: Option<u32>) -> Result<(), &'static str> {
        let has_it = |one: &&mut Member| Some(one.number) != of && !one.revoked && one.email == email;
        let Some(other) = self.members.iter_mut().find(has_it) else { return Ok(()) };
        if caller.limit.is_some() || !other.email_by_limited || other.number == caller.number {
            return Err("email_taken");
        }
        other.revoked = true;
        self.count(true);
        Ok(())
    }

    fn check_last_owner(&self, member: &Member, remains_owner: bool) -> Result<(), &'static str> {
        let is_full_owner = member.role == Role::Owner && member.limit.is_none() && member.active(self.now);
        if is_full_owner && !remains_owner && self.full_owners() == 1 { Err("last_owner") } else { Ok(()) }
    }

    fn key(&self, number: u32) -> usize {
        self.keys.iter().position(|key| key.number == number).unwrap()
    }

    fn member(&self, number: u32) -> usize {
        self.members.iter().position(|member| member.number == number).unwrap()
    }
}
