//! Answers of a [`World`]'s authority to messages of the edge.

use keyward_key::id::KeyId;
use keyward_protocol::{LookedUp, Request, Response};

use crate::gate_world::World;

/// Returns the answer to one message, both as JSON text. Control requests are not supported.
pub fn reply(world: &World, message: &str) -> Result<String, String> {
    let answer: Response = match serde_json::from_str(message).unwrap() {
        Request::Changes(query) => Response::Changes { changes: world.changes(&query), restored: false },
        Request::Lookup { ids } => {
            let look_up = |id: KeyId| LookedUp::new(id.clone(), world.authority.get(&id)).unwrap();
            Response::Records { records: ids.into_iter().map(look_up).collect(), at: world.position() }
        }
        Request::UsageTimes(_) | Request::UsageMissing { .. } => Response::UsageNoted,
        Request::Expose(_) | Request::Leak(_) | Request::KeepReport(_) => Response::Reported,
        Request::EndpointReport(_) | Request::EndpointTested(_) => Response::EndpointsNoted,
        Request::Control(_) => return Err("control requests are not supported".to_owned()),
    };
    Ok(serde_json::to_string(&answer).unwrap())
}
