//! The integration tests of `keyward-edge`: one program.

mod asking;
mod connections;
mod entry;
mod shared_cache;
mod signing;
mod test_platform;
