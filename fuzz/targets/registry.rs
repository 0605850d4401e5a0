//! The registry's messages: what is read is written again as it was, so both sides mean the same.

use keyward_protocol::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    again::<Request>(text);
    again::<Response>(text);
}

fn again<M: Serialize + DeserializeOwned>(text: &str) {
    let Ok(message) = serde_json::from_str::<M>(text) else { return };
    let written = serde_json::to_string(&message).expect("what was read can be written");
    let read: M = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&read).ok(), Some(written));
}
