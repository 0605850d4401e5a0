//! `POST /_keyward/v1/endpoints`: adds an endpoint of events. It is pending until a test succeeds.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::endpoint_body::{description, limited_to, respond, signatures, types, url};
use crate::credential::SystemEntropy;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, confused, raw};
use crate::sight::check_unlimited;
use keyward_key::entropy::{Entropy, base62};
use keyward_key::id::Environment;
use keyward_key::keyring::Generation;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_protocol::events::{ChangedEndpoint, ENDPOINT_CHARS, ENDPOINT_PREFIX, EndpointStatus};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::endpoints::{self, EndpointAttributes, StoredEndpoint};
use keyward_registry::store::{Store, StoreError};

const FIELDS: &[&str] = &["url", "description", "types", "environments", "signatures"];

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateEndpoint {
    /// Id, which the isolate draws.
    pub id: String,
    /// Address.
    pub url: String,
    /// Description, perhaps empty.
    pub description: String,
    /// Patterns of types; `None` for all.
    pub types: Option<Vec<String>>,
    /// Environments; `None` for all.
    pub environments: Option<Vec<Environment>>,
    /// Generation of the server's secret under which to derive a `v1` secret; `None` without `v1`.
    pub hmac_under: Option<Generation>,
}

/// The new endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View, and the secret to show.
    pub endpoint_created: ChangedEndpoint,
}

impl ControlOperation for CreateEndpoint {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/endpoints",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::parse(input.body, FIELDS)?;
        let address = url(input, fields.require("url")?)?;
        let has_hmac = signatures(&mut fields)?.unwrap_or(false);
        Ok(Self {
            id: String::new(),
            url: address,
            description: description(input, &mut fields)?.unwrap_or_default(),
            types: types(&mut fields)?.flatten(),
            environments: limited_to(&mut fields)?.flatten(),
            hmac_under: has_hmac.then(|| input.config.keyring.current().generation().clone()),
        })
    }

    fn draw(&mut self, _: &Input<'_>, entropy: &mut dyn Entropy) -> Result<(), Failure> {
        let drawn = base62(&mut SystemEntropy(entropy), ENDPOINT_CHARS).map_err(|_| confused())?;
        self.id = [ENDPOINT_PREFIX, &drawn].concat();
        Ok(())
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        if self.id.len() != ENDPOINT_PREFIX.len().saturating_add(ENDPOINT_CHARS) {
            return Err(StoreError::new("the message lacks the id of the new endpoint").into());
        }
        let mut endpoint = StoredEndpoint {
            id: self.id.clone(),
            attributes: EndpointAttributes {
                url: self.url.clone(),
                description: self.description.clone(),
                types: self.types.clone(),
                environments: self.environments.clone(),
                has_hmac: self.hmac_under.is_some(),
            },
            status: EndpointStatus::Pending,
            disabled_reason: None,
            created_at: by.now,
            created_by: by.actor_name().to_owned(),
            tested_at: None,
            enabled_since: None,
            secret: None,
            previous: None,
            last_delivery_at: None,
            revision: 0,
        };
        if let Some(generation) = &self.hmac_under {
            endpoint.replace_secret(generation.clone(), false, by.now);
        }
        endpoints::insert(store, by, &mut endpoint)?;
        let (view, secret) = (raw(&endpoint.view(by.now))?, endpoint.secret);
        Ok(Outcome { endpoint_created: ChangedEndpoint { endpoint: view, secret } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        respond(input, 201, &outcome?.endpoint_created)
    }
}

const OPEN_API: &str = r##"{
  "operationId": "createEndpoint",
  "tags": ["Events"],
  "summary": "Adds an endpoint of events",
  "description": "Owner, without a limit to environments. The endpoint is pending until a test succeeds. Only hosts that `EVENT_HOSTS` lists, over HTTPS. At most 20 endpoints. `secret` is shown here only, and null without the signature `v1`.",
  "security": [{"member": []}, {"access": []}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateEndpoint"}}}
  },
  "responses": {
    "201": {
      "description": "The endpoint, and its secret",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointChanged"}}}
    }
  }
}"##;
