//! Errors and exit codes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::output::printable;

/// Exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// The command failed.
    Failed,
    /// The arguments or a file of the caller are wrong.
    Usage,
    /// The credential is missing, malformed or refused.
    Refused,
    /// The deployment can't be reached or asks to try later.
    Unavailable,
    /// A key was found, the deployment differs, or a log was not verified.
    Differs,
}

impl Exit {
    /// Returns the number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unavailable => 5,
            Self::Differs => 10,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that did not succeed: an exit code, and what to write to standard error.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    /// The problem. Empty if everything was said on standard output.
    pub message: String,
    /// Further facts, one a line: the field, the request id.
    pub facts: Vec<(&'static str, String)>,
    /// What to do next.
    pub next: Option<String>,
    /// Code of the API's problem, such as `not_found`.
    pub code: Option<String>,
}

impl Failure {
    /// Creates a failure with a message.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), facts: Vec::new(), next: None, code: None }
    }

    /// Creates a failure with exit code 1.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Creates a failure of the caller's arguments or files.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Creates a failure whose findings are on standard output already.
    #[must_use]
    pub fn differs() -> Self {
        Self::new(Exit::Differs, "")
    }

    /// Adds the next step.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    /// Says that the deployment may have done its work before its answer was lost: what is unknown, and how to look. Other failures
    /// stay as they are.
    #[must_use]
    pub fn unknown_outcome(self, unknown: &str, look: impl Into<String>) -> Self {
        if self.exit != Exit::Unavailable {
            return self;
        }
        Self { message: format!("{} {unknown}", self.message), next: Some(look.into()), ..self }
    }

    /// Returns whether it is the problem of the API with this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// Returns the text for standard error. Texts of a server can't control the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.message.is_empty() {
            return text;
        }
        let _ = writeln!(text, "error: {}", printable(&self.message));
        for (name, value) in &self.facts {
            let _ = writeln!(text, "  {name}: {}", printable(value));
        }
        if let Some(next) = &self.next {
            let _ = writeln!(text, "  next: {}", printable(next));
        }
        text
    }

    /// Writes the failure to standard error.
    pub fn report(&self) {
        let _ = io::stderr().write_all(self.text().as_bytes());
    }
}

/// Output that nobody reads any more (`keyward keys list | head -1`) is no error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "");
        }
        Self::failed(format!("Writing the output failed: {error}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_problem_the_facts_and_the_next_step() {
        let failure =
            Failure::new(Exit::Refused, "Forbidden: no\u{1b}[31m.").fact("request", "r-1").next("Ask an owner.");
        assert_eq!(failure.text(), "error: Forbidden: no\\u{1b}[31m.\n  request: r-1\n  next: Ask an owner.\n");
        assert_eq!(failure.exit.code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.text().as_str()), (Exit::Ok, ""));
    }
}
