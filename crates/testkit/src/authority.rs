//! Answers of a [`World`]'s authority to messages of the edge.

use keyward_protocol::{Request, Response};

use crate::gate_world::World;

/// Returns the answer to one message, both as JSON text. Control requests are not supported.
pub fn reply(world: &World, message: &str) -> Result<String, String> {
    let answer: Response = match serde_json::from_str(message).unwrap() {
        Request::Changes(query) => Response::Changes { changes: world.changes(&query), restored: false },
        Request::Lookup { id } => {
            Response::Record { record: world.authority.get(&id).cloned().map(Box::new), at: world.position() }
        }
        Request::Control(_) => return Err("control requests are not supported".to_owned()),
    };
    Ok(serde_json::to_string(&answer).unwrap())
}
