//! `keyward man`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::Arguments;
use crate::failure::Failure;

/// Arguments of `man`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward man | man -l -
  keyward man keys issue | man -l -
  keyward man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Command, such as keys issue
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Writes a manual page, or all of them.
///
/// # Errors
/// [`Failure`] if there is no such command, or a page can't be written.
pub fn run(args: &ManArgs) -> Result<(), Failure> {
    let mut root = Arguments::command();
    root.build();
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(root, folder)).map_err(|error| {
            Failure::failed(format!("The pages can't be written to {}: {error}.", folder.display()))
        })?;
        return Ok(());
    }
    let mut command: &Command = &root;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Failure::usage(format!("There is no command {}.", args.command.join(" ")))
                .next("`keyward --help` lists them.")
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(std::io::stdout().lock().write_all(&page)?)
}
