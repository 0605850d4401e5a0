//! The integration tests of `keyward-limits`: one program.

mod growth;
mod object;
