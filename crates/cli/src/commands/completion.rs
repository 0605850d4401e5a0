//! `keyward completion`.

use std::io::Write as _;

use clap::Args;
use clap_complete::env::Shells;

use crate::failure::Failure;

/// Arguments of `completion`.
#[derive(Args)]
#[command(after_help = "\
Completion knows commands and options, and the ids and integrations that `keyward keys list`
showed last.

Examples:
  echo 'source <(keyward completion bash)' >> ~/.bashrc
  echo 'source <(keyward completion zsh)' >> ~/.zshrc
  keyward completion fish > ~/.config/fish/completions/keyward.fish")]
pub struct CompletionArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"], hide_possible_values = true)]
    shell: String,
}

/// Writes the script.
///
/// # Errors
/// [`Failure`] when standard output can't be written.
pub fn run(args: &CompletionArgs) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        return Err(Failure::usage(format!("There is no completion for {}.", args.shell)));
    };
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "keyward", "keyward", "keyward", &mut script)?;
    Ok(std::io::stdout().lock().write_all(&script)?)
}
