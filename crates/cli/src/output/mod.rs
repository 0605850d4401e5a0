//! What goes to standard output, and how.
//!
//! Results go to standard output, everything else to standard error. With `--output json` standard output has one JSON document.

mod table;

pub use table::{Column, Table};

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use crate::failure::Failure;
use keyward_key::time::Millis;

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, stable: the API's own objects.
    Json,
}

/// The option `--output`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// Form of standard output
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORM",
        hide_possible_values = true,
        help = "Form of standard output: text or json"
    )]
    pub output: Format,
}

/// Standard output and standard error of one command.
pub struct Output {
    /// Form of standard output.
    pub format: Format,
    /// Time against which relative times are shown.
    pub now: Millis,
    width: Option<usize>,
    colour: bool,
}

impl Output {
    /// Looks at the terminal and at `NO_COLOR`.
    #[must_use]
    pub fn new(args: OutputArgs) -> Self {
        let terminal = console::Term::stdout();
        let attended = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let width = terminal.size_checked().map(|(_, columns)| usize::from(columns));
        Self {
            format: args.output,
            now: crate::time::now(),
            width: width.filter(|_| attended),
            colour: attended && !plain,
        }
    }

    /// Returns whether the output is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of the result.
    ///
    /// # Errors
    /// [`Failure`] when standard output can't be written.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    /// Writes a JSON document.
    ///
    /// # Errors
    /// [`Failure`] when standard output can't be written.
    pub fn json(&self, document: &Json) -> Result<(), Failure> {
        self.line(&format!("{document:#}"))
    }

    /// Writes a table, fitted to the terminal. Without a terminal nothing is cut.
    ///
    /// # Errors
    /// [`Failure`] when standard output can't be written.
    pub fn table(&self, table: &Table) -> Result<(), Failure> {
        Ok(io::stdout().lock().write_all(table.render(self.width, self.colour).as_bytes())?)
    }

    /// Writes names and values, one pair a line.
    ///
    /// # Errors
    /// [`Failure`] when standard output can't be written.
    pub fn pairs(&self, pairs: &[(&str, String)]) -> Result<(), Failure> {
        let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        pairs.iter().try_for_each(|(name, value)| {
            self.line(&format!("{}  {}", self.dim(&format!("{name:widest$}")), printable(value)))
        })
    }

    /// Writes a remark to standard error.
    pub fn say(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }

    fn dim(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Asks a question on the terminal. Without a terminal nobody can answer.
///
/// # Errors
/// [`Failure`] if standard input or standard error is no terminal; `flag` is the option that answers instead.
pub fn confirm(question: &str, flag: &str) -> Result<bool, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::usage(format!("{question} Nobody can answer: this is no terminal."))
            .next(format!("Add {flag} if you are sure.")));
    }
    let _ = write!(io::stderr().lock(), "{} [y/N] ", printable(question));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("Reading the answer failed: {error}.")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Returns a text that can't control the terminal: control characters and bidirectional overrides are written as escapes.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_text_of_the_server_cannot_control_the_terminal() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}b\u{202e}c"), "a\\u{1b}]0;x\\u{7}b\\u{202e}c");
        assert_eq!(printable("Zoë – 日本\n"), "Zoë – 日本\n");
    }
}
