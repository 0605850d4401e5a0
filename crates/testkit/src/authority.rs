//! What the authority of a [`World`] answers to the edge's messages.

use keyward_protocol::{Request, Response};

use crate::gate_world::World;

/// The answer to one message, both as JSON text. Nothing is changed here.
pub fn reply(world: &World, message: &str) -> Result<String, String> {
    let answer: Response = match serde_json::from_str(message).unwrap() {
        Request::Changes(ask) => Response::Changes { changes: world.changes(&ask), restored: false },
        Request::Lookup { id } => {
            Response::Record { record: world.authority.get(&id).cloned().map(Box::new), at: world.position() }
        }
        Request::Control(_) => return Err("not here".to_owned()),
    };
    Ok(serde_json::to_string(&answer).unwrap())
}
