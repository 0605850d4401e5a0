//! `simulate --seeds N [--from M] [--threads T] [--failures F]` simulates N histories, prints a line every 10,000 histories and a summary.
//! With `--limits` it simulates limits: `simulate --limits --seeds N`, `simulate --limits --seed S`.
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
    let number = |name: &str, default: u64| {
        let position = arguments.iter().position(|argument| argument == name);
        position.map_or(default, |position| arguments[position + 1].parse().expect("a number"))
    };
    if arguments.iter().any(|argument| argument == "--limits") {
        return limits(&arguments, &number);
    }
    if arguments.iter().any(|argument| argument == "--seed") {
        let plan = plan::draw(number("--seed", 0));
        let (history, violations) = simulator::run(&plan);
        if arguments.iter().any(|argument| argument == "--whole") || violations.is_empty() {
            show(&plan, &history);
            for violation in &violations {
                println!("VIOLATION at {}: {}\n  {}", violation.at, violation.rule, violation.text);
            }
        } else {
            explain(&plan, violations[0].rule);
        }
        return if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    simulate_many(number("--seeds", 20_000), number("--from", 0), number("--threads", 2), number("--failures", 1))
}

/// Simulates limits.
fn limits(arguments: &[String], number: &(dyn Fn(&str, u64) -> u64 + Sync)) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--seed") {
        let seed = number("--seed", 0);
        let (outcome, violations) = simulator::limits::run(seed);
        println!("{:#?}", simulator::limits::plan::draw(seed));
        for passed in &outcome.passed {
            println!("{:>15}  isolate {}  cost {}", passed.at, passed.slot, passed.cost);
        }
        println!("{:#?}", outcome.counts);
        for violation in &violations {
            println!("VIOLATION: {}\n  {}", violation.rule, violation.text);
        }
        return if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (seeds, from) = (number("--seeds", 20_000), number("--from", 0));
    let max_failures = number("--failures", 1);
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let (total, failures) = (Mutex::new(BTreeMap::<&str, u64>::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..number("--threads", 2) {
            scope.spawn(|| {
                let mut counts = BTreeMap::<&str, u64>::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || failures.lock().unwrap().len() as u64 >= max_failures {
                        break;
                    }
                    let (outcome, violations) = simulator::limits::run(seed);
                    for (name, count) in outcome.counts {
                        *counts.entry(name).or_default() += count;
                    }
                    if let Some(violation) = violations.first() {
                        println!("seed {seed}: {}: {}", violation.rule, violation.text);
                        failures.lock().unwrap().push(seed);
                    }
                    if (seed - from + 1).is_multiple_of(10_000) {
                        println!(
                            "{} of {seeds} histories in {:.0} s",
                            seed - from + 1,
                            started.elapsed().as_secs_f64()
                        );
                    }
                }
                for (name, count) in counts {
                    *total.lock().unwrap().entry(name).or_default() += count;
                }
            });
        }
    });
    for (name, count) in total.into_inner().unwrap() {
        println!("  {count:>12}  {name}");
    }
    println!("{:.1} s", started.elapsed().as_secs_f64());
    match failures.into_inner().unwrap().first() {
        None => {
            println!("No violations.");
            ExitCode::SUCCESS
        }
        Some(seed) => {
            println!("To repeat the first:  npm run simulate -- --limits --seed {seed}");
            ExitCode::FAILURE
        }
    }
}

fn simulate_many(seeds: u64, from: u64, threads: u64, max_failures: u64) -> ExitCode {
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let (total, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (history, violations) = simulator::run(&plan::draw(seed));
                    tally.count_history(&history);
                    if let Some(violation) = violations.first() {
                        let mut failures = failures.lock().unwrap();
                        println!("seed {seed}: {} at {}", violation.rule, violation.at);
                        failures.push((seed, violation.rule));
                        if failures.len() as u64 >= max_failures {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                    let done = seed - from + 1;
                    if done.is_multiple_of(10_000) {
                        let seconds = started.elapsed().as_secs_f64();
                        println!(
                            "{done} of {seeds} histories in {seconds:.0} s, {:.0} a second",
                            done as f64 / seconds
                        );
                    }
                }
                total.lock().unwrap().merge(&tally);
            });
        }
    });
    let (tally, failures) = (total.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{tally}{:.1} s", started.elapsed().as_secs_f64());
    let Some((seed, rule)) = failures.first() else {
        println!("No violations.");
        return ExitCode::SUCCESS;
    };
    println!("{} histories with violations. The first:\n", failures.len());
    explain(&plan::draw(*seed), rule);
    ExitCode::FAILURE
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
