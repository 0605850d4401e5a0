//! Help, manual pages and completion.

use clap::CommandFactory as _;

use crate::program::User;
use crate::snapshot;

/// Every command, as its words.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
        all.push(words.to_vec());
        for child in command.get_subcommands() {
            below(child, &[words, &[child.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = Vec::new();
    below(&keyward_cli::args::Arguments::command(), &[], &mut all);
    all
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let user = User::new();
    let mut text = String::new();
    for words in commands() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let outcome = user.run(&arguments).expect(0);
        let fits = |line: &str| line.chars().count() <= 100 || line.starts_with("Usage:");
        assert!(outcome.stdout.lines().all(fits), "{}", outcome.stdout);
        text.push_str(&format!("===== keyward {}\n{}\n", arguments.join(" "), outcome.stdout));
    }
    snapshot::check("help.txt", &text);
}

#[test]
fn every_command_that_does_something_has_examples() {
    for words in commands() {
        let mut command = keyward_cli::args::Arguments::command();
        for word in &words {
            command = command.find_subcommand(word).unwrap().clone();
        }
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(command.has_subcommands() || help.contains("Examples:\n  "), "{words:?}");
    }
}

#[test]
fn a_manual_page_exists_for_every_command() {
    let user = User::new();
    user.run(&["man", "--dir", user.path("man1").to_str().unwrap()]).expect(0);
    let pages = std::fs::read_dir(user.path("man1")).unwrap().count();
    assert_eq!(pages, commands().len());
    let page = user.run(&["man", "keys", "issue"]).expect(0).stdout;
    assert!(page.contains("keyward\\-keys\\-issue") && page.contains("claim link"), "{page}");
    assert!(user.run(&["man", "keys", "lose"]).expect(2).stderr.contains("There is no command keys lose."));
}

#[test]
fn a_script_completes_for_each_shell() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = user.run(&["completion", shell]).expect(0).stdout;
        assert!(script.contains("COMPLETE") && script.contains("keyward"), "{shell}: {script}");
    }
    user.run(&["completion", "tcsh"]).expect(2);
}
