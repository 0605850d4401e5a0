//! The integration tests of `keyward-http`: one program.

mod examples;
mod forwarded_request;
mod head;
mod problem;
mod target;
