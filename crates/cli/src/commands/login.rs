//! `keyward login` and `keyward logout`.

use std::io::{IsTerminal as _, stdin};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::api::{Address, Session};
use crate::credential::{Credential, VARIABLE, keyring, write_file};
use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::profile::{DEFAULT_NAME, Profile, Profiles};
use crate::views::Member;

/// Arguments of `login`.
#[derive(Args)]
#[command(after_help = "\
The credential is typed, or comes from standard input or KEYWARD_CREDENTIAL: never from an
argument. It is checked with the deployment before it is stored.

Examples:
  keyward login --url https://keys.example.com
  keyward login --url https://keys.example.com --profile prod < credential.txt
  keyward login --url http://localhost:8789 --credential-file ~/.keyward-local")]
pub struct LoginArgs {
    /// Address of the control plane
    #[arg(long, env = "KEYWARD_URL", value_name = "URL", hide_env_values = true)]
    url: String,
    /// Name of the profile
    #[arg(long, env = "KEYWARD_PROFILE", value_name = "NAME", default_value = DEFAULT_NAME, hide_env_values = true)]
    profile: String,
    /// Store the credential in this file (0600) instead of the keyring
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `logout`.
#[derive(Args)]
#[command(after_help = "\
The credential stays valid. To end it, an owner revokes or rotates it: keyward members rotate ID

Examples:
  keyward logout
  keyward logout --profile prod")]
pub struct LogoutArgs {
    /// Name of the profile; by default the first one
    #[arg(long, env = "KEYWARD_PROFILE", value_name = "NAME", hide_env_values = true)]
    profile: Option<String>,
}

/// Signs in: checks the credential with the deployment, and stores profile and credential.
///
/// # Errors
/// [`Failure`] if the credential is refused or can't be stored.
pub fn login(args: &LoginArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let address = Address::parse(&args.url)?;
    let mut profiles = Profiles::load()?;
    let credential = match Credential::given(None)? {
        Some(credential) => credential,
        None => Credential::ask()?,
    };
    let copy = Credential { text: credential.text.clone(), member: credential.member.clone() };
    let session = Session::new(address.clone(), copy, args.profile.clone());
    let me: Member = session.get("/_keyward/v1/me")?;

    let file = args.credential_file.as_deref().map(std::path::absolute).transpose()?;
    match &file {
        Some(path) => write_file(path, &credential)?,
        None => keyring::write(&args.profile, address.as_str(), &credential)?,
    }
    let profile =
        Profile { url: address.as_str().to_owned(), member: Some(me.id.clone()), credential_file: file.clone() };
    profiles.insert(&args.profile, profile);
    profiles.save()?;

    if output.is_json() {
        return output
            .json(&json!({"profile": args.profile, "url": address.as_str(), "member": me.id, "role": me.role}));
    }
    let place = file.map_or_else(|| "the keyring".to_owned(), |path| path.display().to_string());
    output.line(&format!(
        "Signed in to {address} as {} ({}). Profile {}; the credential is in {place}.",
        me.name, me.role, args.profile
    ))?;
    if std::env::var_os(VARIABLE).is_some() && stdin().is_terminal() {
        output.say(&format!("{VARIABLE} is set and comes before what was stored. Unset it to use the profile."));
    }
    Ok(())
}

/// Removes a profile, its credential from the keyring, and its file.
///
/// # Errors
/// [`Failure`] if there is no such profile, or a store fails.
pub fn logout(args: &LogoutArgs) -> Result<(), Failure> {
    let mut profiles = Profiles::load()?;
    let Some((name, profile)) = profiles.get(args.profile.as_deref()) else {
        return Err(Failure::usage("There is no such profile.").next("`keyward login` makes one."));
    };
    let (name, profile) = (name.to_owned(), profile.clone());
    match &profile.credential_file {
        Some(path) if path.exists() => std::fs::remove_file(path)
            .map_err(|error| Failure::failed(format!("{} can't be removed: {error}.", path.display())))?,
        Some(_) => {}
        None => keyring::delete(&name, &profile.url)?,
    }
    profiles.remove(&name);
    profiles.save()?;
    Output::new(OutputArgs::default())
        .line(&format!("Profile {name} and its credential were removed from this machine."))
}
