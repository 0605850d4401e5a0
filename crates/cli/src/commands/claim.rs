//! `keyward claim`: uses a claim link.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Address, Answer, Client, Request, random_text};
use crate::delivery::DeliveryArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt;
use crate::output::{Output, OutputArgs, confirm};
use crate::secret::Secret;
use crate::time::relative;
use crate::views::{Change, Key};

/// Path of the page that a link names.
const PAGE: &str = "/_keyward/claim";

/// Arguments of `claim`.
#[derive(Args)]
#[command(after_help = "\
No sign-in is needed: the link is the permission. The key is minted when the link is used, and
goes to the standard input of the program of --to. If that fails or is interrupted, the key is
revoked. A link among the arguments is in the shell's history. With - it is read from standard
input or asked for.

Examples:
  keyward claim - --to gh:acme/crm/KEYWARD_API_KEY
  keyward claim 'https://keys.example.com/_keyward/claim#…' --to vault:secret/crm#api_key
  keyward claim - --look")]
pub struct ClaimArgs {
    /// Claim link, or - to read it from standard input
    #[arg(value_name = "LINK")]
    link: String,
    /// Only show what the link permits. It stays good
    #[arg(long, conflicts_with_all = ["to", "show"])]
    look: bool,
    /// Do not ask before the link is used
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A parsed claim link.
struct Link {
    address: Address,
    id: String,
    secret: Secret,
}

/// What a claim permits, as the API's lookup shows it.
#[derive(Deserialize)]
struct Permission {
    claim: ClaimView,
    #[serde(default)]
    key: Key,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClaimView {
    status: String,
    issued_by: String,
    expires_at: String,
}

/// Uses a claim link.
///
/// # Errors
/// [`Failure`] if the link is not good, or the key could not be delivered.
pub fn run(args: &ClaimArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    if args.delivery.by_claim() && !args.look {
        return Err(Failure::usage("Where shall the key go?")
            .next("Choose --to DESTINATION, or --show. --look only shows what the link permits."));
    }
    let link = if args.link == "-" { Link::parse(ask()?.expose())? } else { Link::parse(&args.link)? };
    let client = Client::new(link.address.clone(), None);
    let permission = lookup(&client, &link)?;
    if args.look {
        return show_permission(&output, &permission);
    }
    if !args.yes && io::stdin().is_terminal() {
        show_permission(&output, &permission)?;
        if !confirm("Use the link now? It works once.", "--yes")? {
            return Err(Failure::failed("The link was not used. It stays good."));
        }
    }
    args.delivery.prepare()?;
    mint(&client, &link, &output, &args.delivery)
}

/// Mints the key and delivers it. Whoever has the link may revoke the key that came of it.
fn mint(client: &Client, link: &Link, output: &Output, delivery: &DeliveryArgs) -> Result<(), Failure> {
    let body = json!({"secret": link.secret.expose(), "nonce": random_text()});
    let path = format!("/_keyward/v1/claims/{}", link.id);
    let answer = client.send(&Request::change("POST", &path, Some(&body))).map_err(explain)?;
    let change: Change = answer.parse()?;
    let key = change.key.clone().unwrap_or_default();
    let delivered = match (&delivery.to, &change.api_key) {
        _ if interrupt::happened() => Err("Interrupted.".to_owned()),
        (Some(destination), Some(text)) => destination.deliver(text),
        (None, Some(_)) => Ok(()),
        (_, None) => Err("The answer has no key.".to_owned()),
    };
    if let Err(problem) = delivered {
        return Err(give_up(client, link, &key.id, &problem));
    }
    if output.is_json() {
        return output.json(&crate::delivery::shown_json(&answer, delivery)?);
    }
    let summary = format!("{} · {} · expires {}", key.id, key.name, relative(&key.expires_at, output.now));
    match (&change.api_key, &delivery.to) {
        (Some(text), None) => {
            output.say(&summary);
            output.line(text.expose())
        }
        (_, Some(destination)) => {
            output.say(&format!("The key was delivered to {destination}."));
            output.line(&summary)
        }
        (None, None) => output.line(&summary),
    }
}

fn give_up(client: &Client, link: &Link, id: &str, problem: &str) -> Failure {
    let path = format!("/_keyward/v1/claims/{}/revoke", link.id);
    let body = json!({"secret": link.secret.expose()});
    match client.send(&Request::change("POST", &path, Some(&body))) {
        Ok(_) => Failure::failed(format!("The key was not delivered. {problem} {id} was revoked."))
            .next("Ask for another link: this one is used."),
        Err(failure) => Failure::failed(format!(
            "The key was not delivered. {problem} {id} COULD NOT BE REVOKED: {}",
            failure.message
        ))
        .next(format!("Have it revoked as soon as possible: {id}")),
    }
}

fn lookup(client: &Client, link: &Link) -> Result<Answer, Failure> {
    let body = json!({"secret": link.secret.expose()});
    let path = format!("/_keyward/v1/claims/{}/lookup", link.id);
    client.send(&Request::change("POST", &path, Some(&body))).map_err(explain)
}

fn explain(failure: Failure) -> Failure {
    match failure.code.as_deref() {
        Some("not_found") => Failure {
            message: "This link is not good: it is unknown, wrong, withdrawn or ended.".to_owned(),
            next: Some("Ask whoever sent it for another one.".to_owned()),
            ..failure
        },
        Some("already_claimed") => Failure {
            exit: Exit::Failed,
            next: Some("If it was not you, somebody else has the key: have it revoked.".to_owned()),
            ..failure
        },
        _ => failure,
    }
}

fn show_permission(output: &Output, answer: &Answer) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&answer.json()?);
    }
    let Permission { claim, key } = answer.parse()?;
    let good_until = format!("{} ({})", claim.expires_at, relative(&claim.expires_at, output.now));
    let mut pairs = vec![("link", claim.status), ("good until", good_until), ("issued by", claim.issued_by)];
    pairs.extend(key.pairs(output));
    output.pairs(&pairs)
}

fn ask() -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("Reading the link failed: {error}."));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("Claim link (not shown): ").map(Secret::new).map_err(failed);
    }
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text).map_err(failed)?;
    Ok(Secret::new(text))
}

impl Link {
    fn parse(text: &str) -> Result<Self, Failure> {
        // The text holds the claim's secret, so no message repeats it.
        let wrong = || {
            Failure::usage("This is no claim link.")
                .next("Give the whole link, in quotes: https://keys.example.com/_keyward/claim#….")
        };
        let (page, fragment) = text.trim().split_once('#').ok_or_else(wrong)?;
        let (id, secret) = fragment.split_once('.').ok_or_else(wrong)?;
        let plain = |part: &str| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
        };
        if !(plain(id) && plain(secret)) {
            return Err(wrong());
        }
        let address = Address::parse(page.strip_suffix(PAGE).ok_or_else(wrong)?)?;
        Ok(Self { address, id: id.to_owned(), secret: Secret::new(secret.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_an_address_an_id_and_a_secret() {
        let link = Link::parse("https://keys.example/_keyward/claim#clm_1.s3cret-_\n").unwrap();
        assert_eq!(
            (link.address.as_str(), link.id.as_str(), link.secret.expose()),
            ("https://keys.example", "clm_1", "s3cret-_")
        );
    }

    #[test]
    fn a_wrong_link_is_refused_without_being_repeated() {
        for text in [
            "https://keys.example/_keyward/claim",
            "https://keys.example/_keyward/claim#s3cret",
            "https://keys.example/other#a.s3cret",
            "https://keys.example/_keyward/claim#../x.s3cret",
            "http://keys.example/_keyward/claim#a.s3cret",
        ] {
            let shown = Link::parse(text).err().unwrap().text();
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
