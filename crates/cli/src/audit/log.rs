//! The chain of hashes.

use std::io::{BufRead, Read as _};

use keyward_protocol::audit::{EMPTY_LOG_HASH, Head, verify};

use super::entry::parse;
use super::note::Checkpoint;

/// Maximum size of a line, in bytes. Entries are smaller than a page, which has about 1 MB.
const LINE_BYTES: u64 = 8 << 20;

/// Reads a log in NDJSON to its end, checks each entry, and that the log continues each checkpoint. Returns its head.
///
/// # Errors
/// The first problem, with the number of its entry.
pub fn check(
    mut lines: impl BufRead,
    checkpoints: &[Checkpoint],
    mut progress: impl FnMut(u64),
) -> Result<Head, String> {
    let mut head = Head::empty();
    let mut line = Vec::new();
    compare(&head, checkpoints)?;
    loop {
        line.clear();
        let number = head.seq.saturating_add(1);
        let read = lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| format!("The log can't be read: {error}."))? == 0 {
            break;
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(format!("Entry {number} is incomplete: the export was cut off."));
        };
        let entry = parse(text).map_err(|problem| format!("Line {number} is no entry: {problem}."))?;
        if entry.seq != number {
            return Err(format!("Entry {number} is missing or out of order: found {}.", entry.seq));
        }
        if entry.expected_hash().as_deref() != Some(entry.hash.as_str()) {
            return Err(format!("Entry {number} was changed: its hash is not that of its content."));
        }
        head = verify(&head, std::slice::from_ref(&entry))
            .map_err(|_| format!("Entry {number} does not follow the one before it."))?;
        compare(&head, checkpoints)?;
        progress(head.seq);
    }
    match checkpoints.iter().filter(|checkpoint| checkpoint.size > head.seq).max_by_key(|checkpoint| checkpoint.size) {
        Some(checkpoint) => Err(format!(
            "The log has {} entries, and {} says {}: its end is missing.",
            head.seq, checkpoint.source, checkpoint.size
        )),
        None => Ok(head),
    }
}

/// Compares the head with the checkpoints of its size.
fn compare(head: &Head, checkpoints: &[Checkpoint]) -> Result<(), String> {
    let hash = if head.seq == 0 { EMPTY_LOG_HASH } else { &head.hash };
    let other = checkpoints.iter().find(|checkpoint| checkpoint.size == head.seq && checkpoint.hash != hash);
    other.map_or(Ok(()), |checkpoint| {
        Err(format!(
            "The first {} entries are not those that {} signed: the log was rewritten.",
            head.seq, checkpoint.source
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_protocol::audit::Entry;
    use serde_json::json;

    /// A log of `count` entries.
    fn log(count: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for seq in 1..=count {
            let mut entry = Entry {
                seq,
                at: "2026-11-23T14:02:06.004Z".to_owned(),
                actor: "bootstrap".to_owned(),
                action: "key.issue".to_owned(),
                subject: format!("wafl_live_{seq:012}"),
                detail: json!({"b": "é\u{1}", "a": [1, null]}).as_object().unwrap().clone(),
                previous: entries.last().map_or_else(|| EMPTY_LOG_HASH.to_owned(), |entry| entry.hash.clone()),
                hash: String::new(),
            };
            entry.hash = entry.expected_hash().unwrap();
            entries.push(entry);
        }
        entries
    }

    fn text(entries: &[Entry]) -> String {
        entries.iter().map(|entry| format!("{}\n", serde_json::to_string(entry).unwrap())).collect()
    }

    fn checkpoint(size: u64, hash: &str) -> Checkpoint {
        Checkpoint { source: "kept".to_owned(), size, hash: hash.to_owned(), signed_by: None }
    }

    fn outcome(text: &str, checkpoints: &[Checkpoint]) -> Result<u64, String> {
        check(text.as_bytes(), checkpoints, |_| ()).map(|head| head.seq)
    }

    #[test]
    fn a_whole_log_verifies_and_continues_its_checkpoints() {
        let entries = log(5);
        let kept = [checkpoint(0, EMPTY_LOG_HASH), checkpoint(2, &entries[1].hash), checkpoint(5, &entries[4].hash)];
        assert_eq!(outcome(&text(&entries), &kept), Ok(5));
        assert_eq!(outcome("", &[]), Ok(0));
    }

    #[test]
    fn every_tampering_is_found_and_its_place_named() {
        let entries = log(5);
        let whole = text(&entries);
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let without = |skipped: usize| {
            lines.iter().enumerate().filter(|(at, _)| *at != skipped).map(|(_, line)| *line).collect::<String>()
        };
        for (tampered, place) in [
            (whole.replacen("bootstrap", "nobody", 1), "Entry 1 was changed"),
            (without(2), "Entry 3 is missing"),
            (without(0), "Entry 1 is missing"),
            (format!("{}{}{}", lines[0], lines[0], lines[1]), "Entry 2 is missing or out of order: found 1"),
            (whole[..whole.len() - 1].to_owned(), "Entry 5 is incomplete"),
            (format!("{whole}{{}}\n"), "Line 6 is no entry"),
            (format!("{whole}\n"), "Line 6 is no entry"),
        ] {
            let problem = outcome(&tampered, &[]).unwrap_err();
            assert!(problem.contains(place), "{problem}");
        }
        // A chain that was written anew: every hash is right, and the third entry follows another second one.
        let mut other = log(5);
        other[1].actor = "nobody".to_owned();
        other[1].hash = other[1].expected_hash().unwrap();
        assert!(outcome(&text(&other), &[]).unwrap_err().contains("Entry 3 does not follow"));
    }

    #[test]
    fn a_missing_end_and_a_rewritten_log_are_found_by_a_kept_checkpoint() {
        let entries = log(5);
        assert!(
            outcome(&text(&entries[..4]), &[checkpoint(5, &entries[4].hash)])
                .unwrap_err()
                .contains("its end is missing")
        );
        assert!(outcome(&text(&entries), &[checkpoint(3, &"ab".repeat(32))]).unwrap_err().contains("was rewritten"));
        assert!(outcome(&text(&entries), &[checkpoint(0, &"ab".repeat(32))]).unwrap_err().contains("was rewritten"));
    }
}
