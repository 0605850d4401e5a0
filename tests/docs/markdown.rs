//! Parser for the parts of Markdown that the checks need: prose, links, anchors and tables.

use std::collections::BTreeSet;

/// Returns the lines of a page outside code blocks, with their numbers from 1.
pub fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// Returns the texts between pairs of this mark.
pub fn between(line: &str, mark: char) -> impl Iterator<Item = &str> {
    let parts: Vec<&str> = line.split(mark).collect();
    // The part after the last mark is outside. An unpaired mark at the end is ignored.
    let closed = parts.len() - 1 - (parts.len() - 1) % 2;
    (1..closed).step_by(2).map(move |at| parts[at]).collect::<Vec<_>>().into_iter()
}

/// Returns a line without the texts in backticks.
pub fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns the targets of the links in a line.
pub fn links(line: &str) -> Vec<String> {
    let line = without_code(line);
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(|target| target.trim().to_owned()).collect()
}

/// Returns the anchor that GitHub generates for a heading.
pub fn anchor(heading: &str) -> String {
    let mut anchor = String::new();
    for letter in heading.trim().to_lowercase().chars() {
        if letter == ' ' || letter == '-' {
            anchor.push('-');
        } else if letter.is_alphanumeric() || letter == '_' {
            anchor.push(letter);
        }
    }
    anchor
}

/// Returns the anchors of a page.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| line.strip_prefix('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#'))).collect()
}

/// Returns the path of a link's target from the root, or `None` if it is outside the repository.
pub fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Returns the cells of a table row, without the empty ends.
pub fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// Returns the lines of tables whose last column has this heading, with the text of that column.
pub fn column(text: &str, is_heading: impl Fn(&str) -> bool) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut chosen = None;
    let mut in_table = false;
    for (number, line) in prose(text) {
        let Some(row) = cells(line) else {
            in_table = false;
            chosen = None;
            continue;
        };
        if !in_table {
            in_table = true;
            chosen = row.last().filter(|heading| is_heading(heading)).map(|_| row.len() - 1);
        } else if let Some(cell) = chosen.and_then(|at| row.get(at)) {
            found.push((number, *cell));
        }
    }
    found
}
