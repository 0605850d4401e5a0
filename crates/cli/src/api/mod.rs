//! The control plane over HTTP.

mod address;
mod client;
mod problem;
mod session;

pub use address::Address;
pub use client::{Answer, Client, Request, random_text};
pub use session::{Deployment, Session, encode_query, parse_item, parse_list};
