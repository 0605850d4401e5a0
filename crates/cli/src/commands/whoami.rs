//! `keyward whoami`.

use clap::Args;
use serde_json::Value as Json;

use crate::api::{Request, Session};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::ConnectionArgs;
use crate::views::Member;

/// Arguments of `whoami`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward whoami
  keyward whoami --profile prod --output json")]
pub struct WhoamiArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows the member of the credential.
///
/// # Errors
/// [`Failure`] if the credential is refused.
pub fn run(args: &WhoamiArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let session = Session::open(&args.connection)?;
    let answer = session.send(&Request::get("/_keyward/v1/me"))?;
    if output.is_json() {
        return output.json(&answer.parse::<Json>()?);
    }
    let mut pairs = vec![("deployment", session.client().address().to_string())];
    pairs.extend(answer.parse::<Member>()?.pairs(&output));
    output.pairs(&pairs)
}
