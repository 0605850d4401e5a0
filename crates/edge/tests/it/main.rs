//! The integration tests of `keyward-edge`: one program.

mod asking;
mod entry;
mod hosts;
mod shared_cache;
mod signing;
mod test_platform;
