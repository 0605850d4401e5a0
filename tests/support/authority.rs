//! What the authority of a [`World`] answers to the edge's messages.

use keyward::registry::command::{Answer, Call};

use crate::gate_world::World;

/// The answer to one message, both as JSON text. Nothing is changed here.
pub fn reply(world: &World, message: &str) -> Result<String, String> {
    let answer: Answer = match serde_json::from_str(message).unwrap() {
        Call::Changes(ask) => Answer::Changes { changes: world.changes(&ask), restored: false },
        Call::Lookup { id } => {
            Answer::Record { record: world.authority.get(&id).cloned().map(Box::new), at: world.position() }
        }
        Call::Control(_) => return Err("not here".to_owned()),
    };
    Ok(serde_json::to_string(&answer).unwrap())
}
