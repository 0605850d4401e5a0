//! The integration tests of `keyward-control`: one program.

mod access_verifier;
mod callers;
mod conditions;
mod exposures;
mod forward_auth;
mod generated;
mod hosts;
mod leaks;
mod limits;
mod plane;
mod requests;
mod rotation;
mod submitted_key;
mod test_plane;
