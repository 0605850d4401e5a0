//! Runs the binary with a home folder of its own and nothing of this machine's environment but `PATH`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use keyward_key::format::check_of;

/// Well-formed credential of a member. Its tag is wrong everywhere.
pub fn credential() -> String {
    well_formed("wafl_admin_Owner0000001", 'o')
}

/// Well-formed key with that id, and a secret of one letter.
pub fn well_formed(id: &str, letter: char) -> String {
    let body = format!("{id}_{}", letter.to_string().repeat(40));
    format!("{body}{}", std::str::from_utf8(&check_of(&body)).unwrap())
}

/// A user of the program.
pub struct User {
    home: TempDir,
    pub variables: Vec<(&'static str, String)>,
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl User {
    /// A user who never signed in.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A user of the deployment at `url`, with a credential.
    pub fn of(url: &str) -> Self {
        let mut user = Self::new();
        user.variables = vec![("KEYWARD_URL", url.to_owned()), ("KEYWARD_CREDENTIAL", credential())];
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Every file below the home folder, as text.
    pub fn files(&self) -> String {
        fn below(folder: &Path, text: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, text);
                } else {
                    text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut text = String::new();
        below(self.home.path(), &mut text);
        text
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .current_dir(self.home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs the program with a text on its standard input.
    pub fn run_with(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A program that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
        outcome(child.wait_with_output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdin(Stdio::null()).spawn().unwrap()
    }
}

pub fn outcome(output: Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    /// Everything that a terminal shows.
    pub fn shown(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.shown()))
    }
}
