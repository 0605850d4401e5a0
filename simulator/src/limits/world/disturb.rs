//! Disturbances of a history: what fails, steps and changes.

use std::sync::Arc;

use keyward_key::limit::Limit;
use keyward_limits::clock::STEP_TOLERANCE_MS;

use super::{BOUND_MS, Event, Isolate, World, instance, isolate, key_limits};
use crate::limits::plan::{Disturbance, MAX_OFFSET_MS};
use crate::scheduler::Time;

impl World<'_> {
    pub(super) fn crash(&mut self, offset: Time, leaves_zombie: bool) {
        self.count("object restarted");
        self.next += 1;
        let next = instance(&self.store, &self.time, offset, self.next);
        let old = std::mem::replace(&mut self.object, next);
        if leaves_zombie {
            old.host().is_fenced.set(true);
            self.zombie = Some(old);
            self.schedule(4_000, Event::EndZombie);
        }
    }

    pub(super) fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::CrashObject { offset, leaves_zombie } => self.crash(offset, leaves_zombie),
            Disturbance::StepObject { by, bounded } => {
                // Only an isolate that heard from the instance can tell it of a step, and a query from before may still be on its way.
                let heard = |isolate: &Isolate| isolate.first_answer_at.is_some_and(|at| at + 8_000 < self.time.get());
                if !self.isolates.iter().all(heard) {
                    return;
                }
                self.count("object's clock stepped");
                let offset = &self.object.host().offset;
                let stepped = offset.get() + by;
                let clamped = if bounded { stepped.clamp(-MAX_OFFSET_MS, MAX_OFFSET_MS) } else { stepped };
                // A smaller step forward is not noticed.
                if clamped - offset.get() > STEP_TOLERANCE_MS || clamped < offset.get() {
                    offset.set(clamped);
                }
            }
            Disturbance::StepIsolate { slot, by } => {
                self.count("isolate's clock stepped");
                // A reading just before and after, or a step back could not be noticed.
                self.read_clock(slot);
                let isolate = &mut self.isolates[slot];
                isolate.offset = (isolate.offset + by).clamp(-MAX_OFFSET_MS, MAX_OFFSET_MS);
                self.read_clock(slot);
            }
            Disturbance::ReplaceIsolate { slot, offset } => {
                self.count("isolate replaced");
                let old = &self.isolates[slot];
                let (plan, limits, life) = (old.plan, old.limits.clone(), old.life + 1);
                self.isolates[slot] = isolate(plan, offset, life, (&limits, self.plan.room), &mut self.random);
                self.schedule(1, Event::Arrive { slot, life });
            }
            Disturbance::CutOff { slot, for_ms } => {
                self.count("isolate cut off");
                self.isolates[slot].cut_off_until = self.time.get() + for_ms;
            }
            Disturbance::Outage { for_ms } => {
                self.count("outage");
                let until = self.time.get() + for_ms;
                for isolate in &mut self.isolates {
                    isolate.cut_off_until = until;
                }
            }
            Disturbance::ChangeLimit { requests } => self.change_limit(requests),
        }
    }

    fn change_limit(&mut self, requests: u64) {
        self.count("limit changed");
        self.change = Some((self.time.get(), requests));
        let mut limits = self.plan.keys[0].limits.clone();
        limits[0] = Limit::new("burst".to_owned(), requests, limits[0].span()).expect("valid");
        let limits = key_limits(self.isolates[0].limits[0].group, 2, &limits);
        for slot in 0..self.isolates.len() {
            let after = self.random.within(0, BOUND_MS);
            self.schedule(after, Event::Learn { slot, key: 0, limits: Arc::clone(&limits) });
        }
    }
}
