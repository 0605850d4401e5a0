//! The command line of Keyward: for people who live in a terminal, and for pipelines. docs/guides/cli.md describes it.
//!
//! | module | purpose |
//! |---|---|
//! | [`args`] | every command, argument and help text |
//! | [`commands`] | one file for each command |
//! | [`api`] | the control plane over HTTP: requests, retries, problems |
//! | [`profile`], [`credential`] | which deployment, and as whom |
//! | [`secret`], [`destination`], [`delivery`] | the path of a new key: memory, and the standard input of one program |
//! | [`scan`] | finds leaked keys in files, standard input and git |
//! | [`audit`] | verifies an exported audit log offline |
//! | [`plan`] | keys as code: a TOML file, and its difference from the deployment |
//! | [`output`] | tables, JSON, colours |
//! | [`failure`] | errors and exit codes |
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason
    )
)]

pub mod api;
pub mod args;
pub mod audit;
pub mod commands;
pub mod completion;
pub mod credential;
pub mod delivery;
pub mod destination;
pub mod failure;
pub mod interrupt;
pub mod output;
pub mod plan;
pub mod profile;
pub mod scan;
pub mod secret;
pub mod time;
pub mod views;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use failure::Exit;

/// Runs the program: completes a command line if a shell asks for that, otherwise runs the command of the arguments.
#[must_use]
pub fn run() -> ExitCode {
    if std::env::var_os("COMPLETE").is_some() {
        clap_complete::CompleteEnv::with_factory(args::Arguments::command).complete();
    }
    match check_arguments().and_then(|()| commands::run(args::Arguments::parse().command)) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

/// Refuses a key among the arguments before anything can repeat it, such as a message about a wrong argument.
fn check_arguments() -> Result<(), failure::Failure> {
    let found = std::env::args_os().find_map(|argument| secret::find_key(&argument.to_string_lossy()));
    found.map_or(Ok(()), |id| Err(commands::whole_key(&id)))
}
