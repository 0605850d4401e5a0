//! The integration tests of `keyward-key`: one program.

mod properties;
mod sealed;
mod vectors;
