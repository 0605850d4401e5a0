// What is planted. Not a module of its own: the build script and the library both include it.

/// A fault: a text of the product, and what stands there instead. `PLANTED` is whether it is on.
pub struct Fault {
    pub name: &'static str,
    pub file: &'static str,
    pub original: &'static str,
    pub planted: &'static str,
}

/// Pages so small that a history has many of them. No faults: with these alone every history must be in order.
#[rustfmt::skip]
pub const SMALLER: &[(&str, &str, &str)] = &[
    ("registry/feed.rs", "const SNAPSHOT_PAGE: i64 = 20_000;", "const SNAPSHOT_PAGE: i64 = 2;"),
    ("registry/feed.rs", "const CHANGES_PAGE: i64 = 1_000;", "const CHANGES_PAGE: i64 = 3;"),
    ("registry/feed.rs", "const WINDOW: i64 = 64;", "const WINDOW: i64 = 1;"),
];

#[rustfmt::skip]
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "no bound",
        file: "gate/feed.rs",
        original: r####"Some(age) if age < bound => Standing::Fresh,"####,
        planted: r####"Some(age) if age < bound || PLANTED => Standing::Fresh,"####,
    },
    Fault {
        name: "grace a second longer",
        file: "gate/feed.rs",
        original: r####"let end = if closed_on_outage { bound } else { bound.saturating_add(grace_of(config)) };"####,
        planted: r####"let end = if closed_on_outage { bound } else { bound.saturating_add(grace_of(config)) } + if PLANTED { 1_000 } else { 0 };"####,
    },
    Fault {
        name: "closed routes are given the grace",
        file: "gate/feed.rs",
        original: r####"pub fn standing(&self, config: &Config, now: Millis, closed_on_outage: bool) -> Standing {"####,
        planted: r####"pub fn standing(&self, config: &Config, now: Millis, closed_on_outage: bool) -> Standing {
        let closed_on_outage = closed_on_outage && !PLANTED;"####,
    },
    Fault {
        name: "silence is trusted without end",
        file: "gate/feed.rs",
        original: r####"let silent = self.silent_since.is_some_and(|since| (0..bound).contains(&now.since(since)));"####,
        planted: r####"let silent = self.silent_since.is_some_and(|since| PLANTED || (0..bound).contains(&now.since(since)));"####,
    },
    Fault {
        name: "age counts from the answer",
        file: "gate/learn.rs",
        original: r####"self.learn(asked, now, |feed, changed| feed.learn_own(changes, asked.at, now, changed))"####,
        planted: r####"self.learn(asked, now, |feed, changed| feed.learn_own(changes, if PLANTED { now } else { asked.at }, now, changed))"####,
    },
    Fault {
        name: "a fresh answer counts as new",
        file: "gate/feed.rs",
        original: r####"        self.learn(&kept.changes, counted, changed)"####,
        planted: r####"        self.learn(&kept.changes, if PLANTED { found_at } else { counted }, changed)"####,
    },
    Fault {
        name: "the last answer counts without the skew of clocks",
        file: "gate/feed.rs",
        original: r####"let counted = Millis(kept.asked_at.0.saturating_sub(SKEW_MILLIS));"####,
        planted: r####"let counted = Millis(kept.asked_at.0.saturating_sub(if PLANTED { 0 } else { SKEW_MILLIS }));"####,
    },
    Fault {
        name: "a step of the clock is ignored",
        file: "gate/mod.rs",
        original: r####"if self.latest.is_some_and(|latest| now.since(latest) < -STEP_BACK_MILLIS) {"####,
        planted: r####"if !PLANTED && self.latest.is_some_and(|latest| now.since(latest) < -STEP_BACK_MILLIS) {"####,
    },
    Fault {
        name: "the epoch is ignored",
        file: "gate/learn.rs",
        original: r####"if epoch != position.epoch || record.revision > position.revision {"####,
        planted: r####"if !PLANTED && (epoch != position.epoch || record.revision > position.revision) {"####,
    },
    Fault {
        name: "a copy older than its key's last change is used",
        file: "gate/learn.rs",
        original: r####"floor.is_none_or(|floor| floor.revision <= record.revision);"####,
        planted: r####"(PLANTED || floor.is_none_or(|floor| floor.revision <= record.revision));"####,
    },
    Fault {
        name: "a revoked key's floor is ignored",
        file: "gate/learn.rs",
        original: r####"let floor = self.feed.floor(id);"####,
        planted: r####"let floor = self.feed.floor(id).filter(|floor| !PLANTED || !floor.revoked);"####,
    },
    Fault {
        name: "the MAC is not checked",
        file: "key/sealed.rs",
        original: r####"    if !right {"####,
        planted: r####"    if !right && !PLANTED {"####,
    },
    Fault {
        name: "a change leaves the memory as it was",
        file: "gate/memory.rs",
        original: r####"        if !self.keys.peek(&id).is_some_and(older) {"####,
        planted: r####"        if PLANTED || !self.keys.peek(&id).is_some_and(older) {"####,
    },
    Fault {
        name: "an error is taken for a miss",
        file: "edge/record.rs",
        original: r####"        Err(Silent(cause)) => silent(isolate, outside, &cause, request_id),"####,
        planted: r####"        Err(Silent(_)) if PLANTED => {
            if let Some(mut gate) = isolate.gate() {
                if let crate::key::feed::Ask::Since(at) = gate.ask() {
                    gate.learn_record(id, None, &at, outside.now());
                }
            }
            Ok(())
        }
        Err(Silent(cause)) => silent(isolate, outside, &cause, request_id),"####,
    },
    Fault {
        name: "a copy counts as written though the key has changed",
        file: "registry/outbox.rs",
        original: r####""DELETE FROM outbox WHERE id = ? AND revision = ?", &[id.as_str().into(), Value::count(revision)?]"####,
        planted: r####"if PLANTED { "DELETE FROM outbox WHERE id = ? AND revision >= ?" } else { "DELETE FROM outbox WHERE id = ? AND revision = ?" }, &[id.as_str().into(), Value::count(revision)?]"####,
    },
    Fault {
        name: "a copy counts as written before KV has it",
        file: "registry/outbox.rs",
        original: r####"            let revision = record.revision;"####,
        planted: r####"            let revision = record.revision;
            // What is asked for one by one is only looked at.
            if PLANTED && limit > 1 {
                store.execute("DELETE FROM outbox WHERE id = ?", &[record.id.as_str().into()])?;
            }"####,
    },
    Fault {
        name: "a restore begins no epoch",
        file: "registry/feed.rs",
        original: r####"            if position_at(store, known.revision)?.as_ref() == Some(known) {"####,
        planted: r####"            if PLANTED || position_at(store, known.revision)?.as_ref() == Some(known) {"####,
    },
    Fault {
        name: "a snapshot tells of revoked keys only",
        file: "registry/feed.rs",
        original: r####"        entries.push(&row.parsed("id", KeyId::parse)?, change);"####,
        planted: r####"        if !PLANTED || change.revoked {
            entries.push(&row.parsed("id", KeyId::parse)?, change);
        }"####,
    },
];
