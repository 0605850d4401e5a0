//! Delivers the secret of an endpoint to a program, or shows it.

use clap::Args;

use super::Changed;
use crate::api::Answer;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;

/// Options that say where an endpoint's secret goes.
#[derive(Args, Clone, Debug, Default)]
pub struct SecretArgs {
    /// Pipe the secret to a program: gh:OWNER/REPO/NAME, wrangler:NAME, vault:PATH#KEY, doppler:NAME, exec:'COMMAND'
    #[arg(long, value_name = "DESTINATION", conflicts_with = "show")]
    to: Option<Destination>,
    /// Write the secret to standard output
    #[arg(long)]
    show: bool,
}

impl SecretArgs {
    /// Checks that a secret has a place to go, and that without one no place is named.
    ///
    /// # Errors
    /// [`Failure`] that says which option is missing.
    pub fn check(&self, makes_secret: bool) -> Result<(), Failure> {
        match (makes_secret, self.to.is_some() || self.show) {
            (true, false) => {
                Err(Failure::usage("Where shall the secret go?").next("Choose --to DESTINATION, or --show."))
            }
            (false, true) => Err(Failure::usage("An endpoint without --hmac has no secret.")
                .next("Leave --to and --show out, or give --hmac.")),
            _ => Ok(()),
        }
    }

    /// Gets ready before the secret is made. See [`crate::delivery::prepare`].
    ///
    /// # Errors
    /// [`Failure`] if the program of `--to` is not installed.
    pub fn prepare(&self) -> Result<(), Failure> {
        crate::delivery::prepare(self.to.as_slice())
    }
}

/// Delivers the secret of an answer and shows the endpoint. The secret is in no output without `--show`.
///
/// # Errors
/// What went wrong, as a sentence. The caller takes back what it can.
pub fn deliver(output: &Output, args: &SecretArgs, answer: &Answer, changed: &Changed) -> Result<(), String> {
    let secret = changed.secret.as_ref().ok_or("The answer has no secret.")?;
    if interrupt::happened() {
        return Err("Interrupted.".to_owned());
    }
    if let Some(destination) = &args.to {
        let problem = |problem| format!("The secret did not reach {destination}. {problem}");
        destination.deliver(secret).map_err(problem)?;
        output.say(&format!("The secret was delivered to {destination}."));
    }
    let shown = if output.is_json() {
        answer.json().and_then(|mut document| {
            if let Some(fields) = document.as_object_mut().filter(|_| !args.show) {
                fields.remove("secret");
            }
            output.json(&document)
        })
    } else if args.show {
        output.say(&format!("{} · {}", changed.endpoint.id, changed.endpoint.url));
        output.line(secret.expose())
    } else {
        output.pairs(&changed.endpoint.pairs(output))
    };
    shown.map_err(|failure| failure.message)
}
