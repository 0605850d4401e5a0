//! The command line: every command. Its arguments are in the command's own file.

use clap::{Parser, Subcommand};

use crate::commands::plan as keys_as_code;
use crate::commands::{
    audit, claim, claims, completion, endpoints, events, incident, keys, login, man, members, posture, scan, usage,
    whoami,
};

/// What stands below the list of commands.
const AFTER_HELP: &str = "\
Examples:
  keyward login --url https://keys.example.com
  keyward keys issue --name 'CRM sync' --integration crm-sync --environment live \\
    --purpose 'Nightly sync' --owner ops@acme.example --scope contacts:read --to gh:acme/crm/API_KEY
  keyward scan --staged

Exit codes:
  0 done · 1 failed · 2 wrong usage · 3 no credential, or it was refused · 5 unavailable, try again
  10 keys found, differences found, or not verified";

/// Issues API keys, keeps them safe, and checks what others say about them
#[derive(Parser)]
#[command(name = "keyward", version, about, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// Command.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Subcommand)]
pub enum Command {
    /// Sign in to a deployment and store the credential
    Login(login::LoginArgs),
    /// Forget a deployment and its credential on this machine
    Logout(login::LogoutArgs),
    /// Show who is signed in, and with which rights
    Whoami(whoami::WhoamiArgs),
    /// Issue, change, rotate and revoke keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Mint the key that a claim link permits, straight into a secret manager
    Claim(claim::ClaimArgs),
    /// Claim links that were given out and are not used yet
    #[command(subcommand)]
    Claims(claims::ClaimsCommand),
    /// People and their credentials
    #[command(subcommand)]
    Members(members::MembersCommand),
    /// Revoke what leaked, replace it, and follow up
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Show how much keys are used
    Usage(usage::UsageArgs),
    /// Where events go
    #[command(subcommand)]
    Endpoints(endpoints::EndpointsCommand),
    /// Events and their deliveries
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Show the score of the deployment's keys, and what lowers it
    Posture(posture::PostureArgs),
    /// Show what a file of keys would change
    Plan(keys_as_code::PlanArgs),
    /// Make the deployment's keys those of a file
    Apply(keys_as_code::ApplyArgs),
    /// Write the deployment's keys as a file for plan and apply
    Export(keys_as_code::ExportArgs),
    /// Find leaked keys in files, standard input and git
    Scan(scan::ScanArgs),
    /// Export the audit log, and verify it offline
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print the completion script of a shell
    Completion(completion::CompletionArgs),
    /// Print a manual page
    Man(man::ManArgs),
}
