//! The integration tests of `keyward-gate`: one program.

mod answers;
mod assertion;
mod clocks;
mod decisions;
mod feed;
mod feed_edges;
mod forward;
mod memory;
mod mixed_histories;
mod own_paths;
mod precedence;
