//! The integration tests of `keyward-control`: one program.

mod access_verifier;
mod callers;
mod claims;
mod conditions;
mod console;
mod exposures;
mod forward_auth;
mod generated;
mod hosts;
mod incidents;
mod leaks;
mod limits;
mod metrics;
mod pending_reports;
mod plane;
mod posture;
mod requests;
mod rotation;
mod sessions;
mod submitted_key;
mod test_plane;
mod usage;
