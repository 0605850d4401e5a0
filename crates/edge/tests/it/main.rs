//! The integration tests of `keyward-edge`: one program.

mod asking;
mod connections;
mod data_centre;
mod entry;
mod hosts;
mod lookups;
mod shared_cache;
mod signing;
mod test_platform;
mod usage;
