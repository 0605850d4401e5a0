//! HTTP as plain data: what arrived, what it asks for, and how an error is told. No I/O.
#![forbid(unsafe_code)]

pub mod credential;
pub mod head;
pub mod headers;
pub mod limits;
pub mod origin;
pub mod original;
pub mod problem;
pub mod reply;
pub mod route;
pub mod target;
