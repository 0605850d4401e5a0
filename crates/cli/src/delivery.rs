//! Delivers a key or credential that an operation just made.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::api::{Request, Session};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;
use crate::views::Change;

/// Options that say where a new key goes.
#[derive(Args, Clone, Debug, Default)]
pub struct DeliveryArgs {
    /// Pipe the key to a program: gh:OWNER/REPO/NAME, wrangler:NAME, vault:PATH#KEY, doppler:NAME, exec:'COMMAND'
    #[arg(long, value_name = "DESTINATION", conflicts_with = "show")]
    pub to: Option<Destination>,
    /// Write the key to standard output
    #[arg(long)]
    pub show: bool,
}

/// What becomes of a new key that could not be delivered.
#[derive(Clone, Copy)]
pub enum Undelivered<'a> {
    /// The key is revoked by `POST` to this path.
    Revoke(&'a str),
    /// The new member is revoked by `POST` to this path.
    RevokeMember(&'a str),
    /// Nothing can be taken back: the credential of a member, whom a revocation would lock out.
    Keep,
}

impl DeliveryArgs {
    /// Returns whether the key is delivered by claim: nothing else was asked for.
    #[must_use]
    pub const fn by_claim(&self) -> bool {
        self.to.is_none() && !self.show
    }

    /// Gets ready before anything is made. See [`prepare`].
    ///
    /// # Errors
    /// [`Failure`] if the program of `--to` is not installed.
    pub fn prepare(&self) -> Result<(), Failure> {
        prepare(self.to.as_slice())
    }

    /// Adds the request for a claim to a body.
    pub fn ask_for_claim(&self, body: &mut Json, hours: Option<u32>) {
        let Some(fields) = body.as_object_mut().filter(|_| self.by_claim()) else { return };
        fields.insert("deliver".to_owned(), "claim".into());
        if let Some(hours) = hours {
            fields.insert("claim_hours".to_owned(), hours.into());
        }
    }
}

/// Gets ready for deliveries: the programs must be there, and from now on an interruption is noticed instead of ending this program in
/// the middle of a delivery.
///
/// # Errors
/// [`Failure`] if a program is not installed.
pub fn prepare<'a>(destinations: impl IntoIterator<Item = &'a Destination>) -> Result<(), Failure> {
    destinations.into_iter().try_for_each(Destination::check)?;
    interrupt::hold();
    Ok(())
}

/// Explains a refusal of a deployment that has no claims yet.
#[must_use]
pub fn explain_claims(failure: Failure, delivery: &DeliveryArgs) -> Failure {
    let about_claims = failure.facts.iter().any(|(name, value)| *name == "field" && value == "deliver");
    if delivery.by_claim() && about_claims {
        return failure.next("This deployment does not deliver by claim. Choose --to DESTINATION, or --show.");
    }
    failure
}

/// Delivers the key of an answer to `--to` or `--show`, and shows the rest of the answer.
///
/// # Errors
/// [`Failure`] if the key could not be delivered; it says whether the key was revoked.
pub fn deliver(
    session: &Session,
    output: &Output,
    delivery: &DeliveryArgs,
    answer: &crate::api::Answer,
    undelivered: Undelivered<'_>,
) -> Result<Change, Failure> {
    let change: Change = answer.parse()?;
    let (Some(destination), Some(key)) = (&delivery.to, &change.api_key) else {
        if interrupt::happened() && change.api_key.is_some() {
            return Err(give_up(session, &change, "Interrupted.", undelivered));
        }
        return Ok(change);
    };
    let outcome = if interrupt::happened() { Err("Interrupted.".to_owned()) } else { destination.deliver(key) };
    match outcome {
        Ok(()) => {
            output.say(&format!("The key was delivered to {destination}."));
            Ok(change)
        }
        Err(problem) => {
            Err(give_up(session, &change, &format!("The key did not reach {destination}. {problem}"), undelivered))
        }
    }
}

/// Revokes what nobody received, and says so.
fn give_up(session: &Session, change: &Change, problem: &str, undelivered: Undelivered<'_>) -> Failure {
    let reason = json!({"reason": "It could not be delivered"});
    let key = change.key.as_ref().map(|key| key.id.as_str());
    let id = key.or(change.member.as_ref().map(|member| member.id.as_str())).unwrap_or_default();
    let (path, body, command) = match undelivered {
        Undelivered::Keep => {
            return Failure::failed(format!("{problem} The credential is lost: nobody has its text."))
                .next("Run the command again: it makes another one.");
        }
        Undelivered::Revoke(path) => {
            (path, Some(&reason), format!("keyward keys revoke {id} --reason 'Not delivered'"))
        }
        Undelivered::RevokeMember(path) => (path, None, format!("keyward members revoke {id}")),
    };
    if let Err(failure) = session.send(&Request::change("POST", path, body)) {
        return Failure::failed(format!("{problem} {id} COULD NOT BE REVOKED: {}", failure.message))
            .next(format!("Revoke it as soon as possible: {command}"));
    }
    let failure = Failure::failed(format!("{problem} {id} was revoked."));
    match &change.retiring {
        Some(old) => failure.next(format!(
            "The old key {} works until {} and cannot be rotated again. Issue a key for the integration.",
            old.id, old.expires_at
        )),
        None => failure.next("Correct the problem and run the command again."),
    }
}

/// Returns the answer as JSON. The key's text is in it only with `--show`.
///
/// # Errors
/// [`Failure`] if the answer is no JSON.
pub fn shown_json(answer: &crate::api::Answer, delivery: &DeliveryArgs) -> Result<Json, Failure> {
    let mut document = answer.json()?;
    if let Some(fields) = document.as_object_mut().filter(|_| !delivery.show) {
        fields.remove("api_key");
    }
    Ok(document)
}
