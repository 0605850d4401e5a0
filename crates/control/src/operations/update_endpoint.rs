//! `PATCH /_keyward/v1/endpoints/{id}`: changes an endpoint of events. Omitted fields keep their values.

use serde::{Deserialize, Serialize};

use crate::body::{Fields, Json, invalid};
use crate::endpoint_body::{
    check_revision, description, endpoint_id, find, limited_to, respond, signatures, types, url,
};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::precondition;
use crate::sight::check_unlimited;
use keyward_http::problem::Problem;
use keyward_key::id::Environment;
use keyward_key::keyring::Generation;
use keyward_key::mint::Minted;
use keyward_protocol::events::{ChangedEndpoint, EndpointStatus};
use keyward_protocol::{Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::endpoints::{self, BY_MEMBER, StoredEndpoint};
use keyward_registry::store::Store;

const FIELDS: &[&str] = &["url", "description", "types", "environments", "signatures", "status"];

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdateEndpoint {
    /// Id of the endpoint.
    pub id: String,
    /// Revisions, one of which it must have (`If-Match`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<Vec<u64>>,
    /// New address.
    pub url: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New patterns of types; the inner `None` for all.
    #[serde(default, with = "nullable", skip_serializing_if = "Option::is_none")]
    pub types: Option<Option<Vec<String>>>,
    /// New environments; the inner `None` for all.
    #[serde(default, with = "nullable", skip_serializing_if = "Option::is_none")]
    pub environments: Option<Option<Vec<Environment>>>,
    /// Whether it has `v1` signatures.
    pub has_hmac: Option<bool>,
    /// Generation of the server's secret under which to derive a `v1` secret.
    pub generation: Generation,
    /// Whether it receives events.
    pub enabled: Option<bool>,
}

/// A field that may be absent, null or a value.
mod nullable {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Option<Option<T>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}

/// The changed endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View, and the secret to show.
    pub endpoint_updated: ChangedEndpoint,
}

impl ControlOperation for UpdateEndpoint {
    const SPEC: Spec = Spec {
        method: "PATCH",
        path: "v1/endpoints/{id}",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = endpoint_id(input)?;
        let mut fields = Fields::parse_changes(input.body, FIELDS, &["types", "environments", "description"])?;
        let clears_description = fields.has("description");
        let description = description(input, &mut fields)?.or_else(|| clears_description.then(String::new));
        Ok(Self {
            id,
            if_match: precondition::revisions(input.head),
            url: fields.take("url").map(|value| url(input, value)).transpose()?,
            description,
            types: types(&mut fields)?,
            environments: limited_to(&mut fields)?,
            has_hmac: signatures(&mut fields)?,
            generation: input.config.keyring.current().generation().clone(),
            enabled: fields.take("status").map(status).transpose()?,
        })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let before = find(store, &self.id)?;
        check_revision(&before, self.if_match.as_deref())?;
        let mut endpoint = before.clone();
        let makes_secret = self.apply(&mut endpoint, by)?;
        // A change to the present values writes nothing.
        if endpoint.view(by.now) != before.view(by.now) {
            endpoints::update(store, by, "endpoint.update", &mut endpoint, &before)?;
        }
        let (view, secret) = (raw(&endpoint.view(by.now))?, endpoint.secret.filter(|_| makes_secret));
        Ok(Outcome { endpoint_updated: ChangedEndpoint { endpoint: view, secret } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        respond(input, 200, &outcome?.endpoint_updated)
    }
}

impl UpdateEndpoint {
    /// Applies the changes. Returns whether they make a secret.
    fn apply(&self, endpoint: &mut StoredEndpoint, by: &Context<'_>) -> Result<bool, Rejection> {
        let attributes = &mut endpoint.attributes;
        if let Some(url) = self.url.as_ref().filter(|url| **url != attributes.url) {
            attributes.url.clone_from(url);
            // The new receiver must show that it wants the events.
            endpoint.tested_at = None;
            endpoint.status = EndpointStatus::Pending;
            endpoint.disabled_reason = None;
        }
        if let Some(description) = &self.description {
            attributes.description.clone_from(description);
        }
        if let Some(types) = &self.types {
            attributes.types.clone_from(types);
        }
        if let Some(environments) = &self.environments {
            attributes.environments.clone_from(environments);
        }
        let makes_secret = self.has_hmac == Some(true) && !attributes.has_hmac;
        attributes.has_hmac = self.has_hmac.unwrap_or(attributes.has_hmac);
        if makes_secret {
            endpoint.replace_secret(self.generation.clone(), false, by.now);
        }
        match self.enabled {
            Some(true) if endpoint.tested_at.is_none() => return Err(Rejection::EndpointNotTested),
            Some(true) => (endpoint.status, endpoint.disabled_reason) = (EndpointStatus::Enabled, None),
            Some(false) if endpoint.status != EndpointStatus::Disabled => {
                (endpoint.status, endpoint.disabled_reason) = (EndpointStatus::Disabled, Some(BY_MEMBER.to_owned()));
            }
            Some(false) | None => {}
        }
        Ok(makes_secret)
    }
}

fn status(value: Json) -> Result<bool, Problem> {
    match value {
        Json::Text(text) if text == "enabled" => Ok(true),
        Json::Text(text) if text == "disabled" => Ok(false),
        _ => Err(invalid("status", "This must be \"enabled\" or \"disabled\".")),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "updateEndpoint",
  "tags": ["Events"],
  "summary": "Changes an endpoint of events",
  "description": "Owner, without a limit to environments. A new address makes the endpoint pending. `secret` is not null if the change adds the signature `v1`.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UpdateEndpoint"}}}
  },
  "responses": {
    "200": {
      "description": "The endpoint, and its new secret",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointChanged"}}}
    },
    "409": {
      "description": "The endpoint was never tested at its address: `endpoint_not_tested`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {"code": {"enum": ["endpoint_not_tested"]}}
          }
        }
      }
    }
  }
}"##;
