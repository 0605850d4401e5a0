//! `simulate --seeds N [--from M] [--threads T] [--failures F]` simulates N histories, prints a line every 10,000 histories and a summary.
//! With `--limits` it simulates limits, with `--events` events: `simulate --limits --seeds N`, `simulate --limits --seed S`.
//! It stops after F histories with violations (1 by default), and shows the first one, shrunk. `simulate --seed S [--whole]` shows one history.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use simulator::plan::{self, Plan};
use simulator::shrink::shrink;
use simulator::tally::Tally;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let number = |name: &str, default: u64| {
        let position = arguments.iter().position(|argument| argument == name);
        position.map_or(default, |position| arguments[position + 1].parse().expect("a number"))
    };
    let run = Run {
        seeds: number("--seeds", 20_000),
        from: number("--from", 0),
        threads: number("--threads", 2),
        max_failures: number("--failures", 1),
    };
    let is_fine = match (has("--limits"), has("--events"), has("--seed")) {
        (true, _, true) => show_limits(number("--seed", 0)),
        (true, _, false) => simulate_limits(&run),
        (_, true, true) => show_events(number("--seed", 0)),
        (_, true, false) => simulate_events(&run),
        (_, _, true) => show_keys(number("--seed", 0), has("--whole")),
        (_, _, false) => simulate_keys(&run),
    };
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Histories to simulate, and when to stop.
struct Run {
    seeds: u64,
    from: u64,
    threads: u64,
    /// Number of histories with violations after which the run stops.
    max_failures: u64,
}

/// First violation of a history.
struct Found {
    seed: u64,
    rule: &'static str,
    /// Where or what, for the line that announces it.
    text: String,
}

impl Run {
    /// Simulates the histories, which `simulate` adds to the tally it is given, and prints the tally. Returns the first violation found
    /// and the number of histories with one.
    fn simulate_many(&self, simulate: impl Fn(u64, &mut Tally) -> Option<Found> + Sync) -> (Option<Found>, usize) {
        let started = Instant::now();
        let next = AtomicU64::new(self.from);
        let stop = AtomicBool::new(false);
        let (total, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.from + self.seeds || stop.load(Ordering::Relaxed) {
                            break;
                        }
                        if let Some(found) = simulate(seed, &mut tally) {
                            let mut failures = failures.lock().unwrap();
                            println!("seed {seed}: {} {}", found.rule, found.text);
                            failures.push(found);
                            stop.fetch_or(failures.len() as u64 >= self.max_failures, Ordering::Relaxed);
                        }
                        self.show_progress(seed - self.from + 1, started);
                    }
                    total.lock().unwrap().merge(&tally);
                });
            }
        });
        print!("{}", total.into_inner().unwrap());
        println!("{:.1} s", started.elapsed().as_secs_f64());
        let failures = failures.into_inner().unwrap();
        if failures.is_empty() {
            println!("No violations.");
        }
        let count = failures.len();
        (failures.into_iter().next(), count)
    }

    fn show_progress(&self, done: u64, started: Instant) {
        if done.is_multiple_of(10_000) {
            let seconds = started.elapsed().as_secs_f64();
            println!("{done} of {} histories in {seconds:.0} s, {:.0} a second", self.seeds, done as f64 / seconds);
        }
    }
}

/// Simulates histories of keys, and shows the first with a violation, shrunk. Returns whether there is none.
fn simulate_keys(run: &Run) -> bool {
    let (first, count) = run.simulate_many(|seed, tally| {
        let (history, violations) = simulator::run(&plan::draw(seed));
        tally.count_history(&history);
        let violation = violations.first()?;
        Some(Found { seed, rule: violation.rule, text: format!("at {}", violation.at) })
    });
    let Some(Found { seed, rule, .. }) = first else { return true };
    println!("{count} histories with violations. The first:\n");
    explain(&plan::draw(seed), rule);
    false
}

/// Counts of a history, and its first violation: the rule, and where it was broken.
type Simulated = (BTreeMap<&'static str, u64>, Option<(&'static str, String)>);

/// Simulates histories of another world than that of keys. Returns whether none has a violation.
fn simulate_other(run: &Run, option: &str, simulate: fn(u64) -> Simulated) -> bool {
    let (first, count) = run.simulate_many(|seed, tally| {
        let (counts, broken) = simulate(seed);
        for (name, count) in counts {
            tally.add(name, count);
        }
        let (rule, text) = broken?;
        Some(Found { seed, rule, text })
    });
    let Some(Found { seed, .. }) = first else { return true };
    println!("{count} histories with violations. To repeat the first:  npm run simulate -- {option} --seed {seed}");
    false
}

fn simulate_limits(run: &Run) -> bool {
    simulate_other(run, "--limits", |seed| {
        let (outcome, violations) = simulator::limits::run(seed);
        (outcome.counts, violations.into_iter().next().map(|found| (found.rule, found.text)))
    })
}

fn simulate_events(run: &Run) -> bool {
    simulate_other(run, "--events", |seed| {
        let (history, violations) = simulator::events::run(seed);
        (history.counts, violations.into_iter().next().map(|found| (found.rule, found.text)))
    })
}

/// Shows one history of events. Returns whether it has no violation.
fn show_events(seed: u64) -> bool {
    let (history, violations) = simulator::events::run(seed);
    println!("{history:#?}");
    for violation in &violations {
        println!("VIOLATION: {}\n  {}", violation.rule, violation.text);
    }
    violations.is_empty()
}

/// Shows one history of keys. Returns whether it has no violation.
fn show_keys(seed: u64, is_whole: bool) -> bool {
    let plan = plan::draw(seed);
    let (history, violations) = simulator::run(&plan);
    match violations.first() {
        Some(violation) if !is_whole => explain(&plan, violation.rule),
        _ => {
            show(&plan, &history);
            for violation in &violations {
                println!("VIOLATION at {}: {}\n  {}", violation.at, violation.rule, violation.text);
            }
        }
    }
    violations.is_empty()
}

/// Shows one history of limits. Returns whether it has no violation.
fn show_limits(seed: u64) -> bool {
    let (outcome, violations) = simulator::limits::run(seed);
    println!("{:#?}", simulator::limits::plan::draw(seed));
    for passed in &outcome.passed {
        println!("{:>15}  isolate {}  key {}  cost {}", passed.at, passed.slot, passed.key, passed.cost);
    }
    println!("{:#?}", outcome.counts);
    for violation in &violations {
        println!("VIOLATION: {}\n  {}", violation.rule, violation.text);
    }
    violations.is_empty()
}

/// Shrinks a plan that violates `rule`, and shows the result with its history.
fn explain(plan: &Plan, rule: &str) {
    let small = shrink(plan, rule);
    let (history, violations) = simulator::run(&small);
    show(&small, &history);
    for violation in violations.iter().filter(|violation| violation.rule == rule).take(1) {
        println!("VIOLATION at {}: {}\n  {}", violation.at, violation.rule, violation.text);
    }
    println!("\nTo repeat it:  npm run simulate -- --seed {}   (--whole: without shrinking)", plan.seed);
}

fn show(plan: &Plan, history: &simulator::history::History) {
    println!(
        "seed {}: bound {} s, grace {} s, {} locations, KV stale for up to {} ms",
        plan.seed, plan.bound_seconds, plan.grace_seconds, plan.locations, plan.kv_stale_ms
    );
    println!("plan:");
    for event in &plan.events {
        println!("  {:>8}  {:?}", event.at, event.action);
    }
    println!("history:");
    for record in &history.records {
        println!("  {:>8}  {:?}", record.at, record.event);
    }
}
