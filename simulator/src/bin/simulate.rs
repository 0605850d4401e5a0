//! `simulate --seeds N [--from M] [--threads T]`: so many histories, a line now and then, a summary; the first that is not in order
//! ends it, and is shown shrunk. `simulate --seed S` shows one.

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
        let place = arguments.iter().position(|argument| argument == name);
        place.map_or(default, |place| arguments[place + 1].parse().expect("a number"))
    };
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
    many(number("--seeds", 20_000), number("--from", 0), number("--threads", 2), number("--failures", 1))
}

fn many(seeds: u64, from: u64, threads: u64, most: u64) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let (whole, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
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
                    tally.take(&history);
                    if let Some(violation) = violations.first() {
                        let mut failures = failures.lock().unwrap();
                        println!("seed {seed}: {} at {}", violation.rule, violation.at);
                        failures.push((seed, violation.rule));
                        if failures.len() as u64 >= most {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                    let done = seed - from + 1;
                    if done.is_multiple_of(10_000) {
                        let seconds = began.elapsed().as_secs_f64();
                        println!(
                            "{done} of {seeds} histories in {seconds:.0} s, {:.0} a second",
                            done as f64 / seconds
                        );
                    }
                }
                whole.lock().unwrap().add(&tally);
            });
        }
    });
    let (tally, failures) = (whole.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{tally}{:.1} s", began.elapsed().as_secs_f64());
    let Some((seed, rule)) = failures.first() else {
        println!("All in order.");
        return ExitCode::SUCCESS;
    };
    println!("{} not in order. The first:\n", failures.len());
    explain(&plan::draw(*seed), rule);
    ExitCode::FAILURE
}

/// Shows the smallest plan that fails in this way, and what happens with it.
fn explain(plan: &Plan, rule: &str) {
    let small = shrink(plan, rule);
    let (history, violations) = simulator::run(&small);
    show(&small, &history);
    for violation in violations.iter().filter(|violation| violation.rule == rule).take(1) {
        println!("VIOLATION at {}: {}\n  {}", violation.at, violation.rule, violation.text);
    }
    println!("\nTo see it again:  npm run simulate -- --seed {}   (--whole: not shrunk)", plan.seed);
}

fn show(plan: &Plan, history: &simulator::history::History) {
    println!(
        "seed {}: bound {} s, grace {} s, {} locations, KV stale for up to {} ms",
        plan.seed, plan.bound_seconds, plan.grace_seconds, plan.locations, plan.kv_stale
    );
    println!("planned:");
    for event in &plan.events {
        println!("  {:>8}  {:?}", event.at, event.what);
    }
    println!("what happened:");
    for record in &history.records {
        println!("  {:>8}  {:?}", record.at, record.what);
    }
}
