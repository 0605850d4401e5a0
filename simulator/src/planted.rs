//! Search for histories in which a planted fault shows.

/// Returns the first seed below `seeds` whose history violates a rule while `fault` is planted, and the violation. `run` simulates a seed and
/// returns its first violation.
pub fn first_violation(fault: &'static str, seeds: u64, run: impl Fn(u64) -> Option<String>) -> Option<(u64, String)> {
    keyward_fault::plant(fault);
    let found = (0..seeds).find_map(|seed| Some((seed, run(seed)?)));
    keyward_fault::plant("");
    found
}

/// Prints where each fault shows first.
///
/// # Panics
/// If a fault does not show below `seeds`.
pub fn assert_each_shows(faults: &[&'static str], seeds: u64, run: impl Fn(u64) -> Option<String>) {
    let mut missed = Vec::new();
    for fault in faults.iter().copied() {
        match first_violation(fault, seeds, &run) {
            Some((seed, text)) => println!("{fault}: seed {seed}, {text}"),
            None => missed.push(fault),
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "not found");
}
