//! `keyward endpoints add` and `rotate-secret`: what may make a secret.

use clap::Args;
use serde_json::json;

use super::secret::{SecretArgs, deliver};
use super::{Changed, PATH, path, show};
use crate::api::{Request, Session};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;

/// Arguments of `endpoints add`.
#[derive(Args)]
#[command(after_help = "\
Every event is signed with the deployment's key (v1a), which needs no secret: `keyward endpoints
key` shows the public key. --hmac adds a signature by a secret (v1), for receivers whose library
knows no other. The host of the address must be in the deployment's setting EVENT_HOSTS.

Examples:
  keyward endpoints add https://hooks.acme.example/keyward --type 'key.*' --type leak.reported
  keyward endpoints add https://hooks.acme.example/keyward --hmac --to wrangler:WEBHOOK_SECRET
  keyward endpoints test ep_8Fh2kQ0sZp1L3vTq")]
pub struct AddArgs {
    /// Address that events are sent to
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Send only this type, such as key.revoked or key.*; repeat for several
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Send only events about keys of this environment; repeat for several
    #[arg(long = "environment", value_name = "ENVIRONMENT", value_parser = ["live", "test"], hide_possible_values = true)]
    environments: Vec<String>,
    /// Sign with a secret too. --to or --show says where the secret goes
    #[arg(long)]
    hmac: bool,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `endpoints rotate-secret`.
#[derive(Args)]
#[command(after_help = "\
For 24 hours events are signed with the old secret and the new one.

Examples:
  keyward endpoints rotate-secret ep_8Fh2kQ0sZp1L3vTq --to wrangler:WEBHOOK_SECRET")]
pub struct RotateArgs {
    /// Endpoint id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Adds an endpoint.
///
/// # Errors
/// [`Failure`] if the deployment refuses, or the secret could not be delivered.
pub fn run(args: &AddArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    args.secret.check(args.hmac)?;
    let session = Session::open(&args.connection)?;
    args.secret.prepare()?;
    let signatures: &[&str] = if args.hmac { &["v1a", "v1"] } else { &["v1a"] };
    let body = json!({
        "url": args.address,
        "description": args.description,
        "types": (!args.types.is_empty()).then_some(&args.types),
        "environments": (!args.environments.is_empty()).then_some(&args.environments),
        "signatures": signatures,
    });
    let answer = session.send(&Request::once("POST", PATH, Some(&body))).map_err(|failure| {
        failure.unknown_outcome("Whether the endpoint was made is unknown.", "keyward endpoints list")
    })?;
    let changed: Changed = answer.parse()?;
    let id = changed.endpoint.id.clone();
    if !args.hmac {
        show(&output, &answer)?;
    } else if let Err(problem) = deliver(&output, &args.secret, &answer, &changed) {
        let removed = session.send(&Request::delete(&path(&id, "")?));
        return Err(match removed {
            Ok(_) => Failure::failed(format!("{problem} The endpoint was removed again."))
                .next("Correct the problem and run the command again."),
            Err(failure) => {
                Failure::failed(format!("{problem} The endpoint {id} could not be removed: {}", failure.message))
                    .next(format!("keyward endpoints remove {id}"))
            }
        });
    }
    output.say(&format!("It receives events after a test: keyward endpoints test {id}"));
    Ok(())
}

/// Gives an endpoint another secret.
///
/// # Errors
/// [`Failure`] as of [`run`].
pub fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    args.secret.check(true)?;
    let path = path(&args.id, "/rotate-secret")?;
    let session = Session::open(&args.connection)?;
    args.secret.prepare()?;
    // A repetition would replace the secret that the lost answer holds, and the one that the receiver knows with it.
    let answer = session.send(&Request::once("POST", &path, None)).map_err(|failure| {
        failure.unknown_outcome(
            "Whether a new secret was made is unknown.",
            format!(
                "`keyward endpoints show {}` shows until when an old secret is good, if there is a new one.",
                args.id
            ),
        )
    })?;
    let changed = answer.parse()?;
    deliver(&output, &args.secret, &answer, &changed).map_err(|problem| {
        Failure::failed(format!(
            "{problem} The new secret is lost: nobody has its text. The old one is good for 24 hours."
        ))
        .next("Correct the problem and run the command again. It makes another one, and ends the one that the receiver has.")
    })
}
