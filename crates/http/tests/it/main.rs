//! The integration tests of `keyward-http`: one program.

mod head;
mod problem;
mod target;
