//! What the authority of a [`World`] answers to the edge's messages.

use keyward_key::id::KeyId;
use keyward_protocol::{LookedUp, Request, Response};

use crate::gate_world::World;

/// The answer to one message, both as JSON text. Nothing is changed here.
pub fn reply(world: &World, message: &str) -> Result<String, String> {
    let answer: Response = match serde_json::from_str(message).unwrap() {
        Request::Changes(ask) => Response::Changes { changes: world.changes(&ask), restored: false },
        Request::Lookup { ids } => {
            let look_up = |id: KeyId| LookedUp::new(id.clone(), world.authority.get(&id)).unwrap();
            Response::Records { records: ids.into_iter().map(look_up).collect(), at: world.position() }
        }
        Request::Control(_) => return Err("not here".to_owned()),
    };
    Ok(serde_json::to_string(&answer).unwrap())
}
