//! Messages of the registry: parsing and serialising is stable, so that both sides agree.

use keyward_protocol::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_round_trip::<Request>(text);
    check_round_trip::<Response>(text);
}

fn check_round_trip<M: Serialize + DeserializeOwned>(text: &str) {
    let Ok(message) = serde_json::from_str::<M>(text) else { return };
    let written = serde_json::to_string(&message).expect("a parsed message can be written");
    let read: M = serde_json::from_str(&written).expect("a written message can be parsed");
    assert_eq!(serde_json::to_string(&read).ok(), Some(written));
}
