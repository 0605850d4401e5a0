//! The checker sees: each planted fault is found within 5,000 histories, and the same product without one is in order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulator::plan;

const SEEDS: u64 = 5_000;
const THREADS: u64 = 2;

/// The first seed, from 0, whose history is not in order with this fault planted, and the rule that it breaks.
fn first(fault: &'static str, seeds: u64) -> Option<(u64, &'static str)> {
    let (next, found) = (AtomicU64::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                keyward::plant(fault);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || found.lock().unwrap().is_some() {
                        return;
                    }
                    if let Some(violation) = simulator::run(&plan::draw(seed)).1.first() {
                        *found.lock().unwrap() = Some((seed, violation.rule));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn without_a_fault_and_with_the_smallest_pages_everything_is_in_order() {
    assert_eq!(first("", SEEDS), None);
}

#[test]
fn each_planted_fault_is_found_within_five_thousand_histories() {
    let faults = keyward::FAULTS;
    assert!(faults.len() >= 12);
    let mut missed = Vec::new();
    for fault in faults {
        match first(fault.name, SEEDS) {
            Some((seed, rule)) => println!("{}: seed {seed}, \"{rule}\"", fault.name),
            None => missed.push(fault.name),
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "not found");
}
