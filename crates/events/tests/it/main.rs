//! Tests of the events object on real SQLite, with receivers that answer, fail, hang and lie.

mod cost;
mod endpoints;
mod messages;
mod news;
mod object;
mod properties;
mod retention;
mod tests_of_endpoints;
mod world;
