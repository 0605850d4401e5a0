//! The integration tests of `keyward-http`: one program.

mod examples;
mod head;
mod problem;
mod target;
