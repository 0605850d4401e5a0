//! The integration tests of `keyward-http`: one program.

mod forwarded_request;
mod head;
mod problem;
mod target;
