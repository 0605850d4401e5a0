//! The integration tests of `keyward-edge`: one program.

mod asking;
mod shared_cache;
mod signing;
