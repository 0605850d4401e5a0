//! The integration tests of `keyward-control`: one program.

mod limits;
mod openapi;
mod requests;
mod submitted_key;
