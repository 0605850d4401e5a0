//! `GET /_keyward/metrics`: the metrics, for a scraper.

use serde::{Deserialize, Serialize};

use crate::exposition::Exposition;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_protocol::metrics::Sample;
use keyward_registry::context::{Actor, Context, OperationError};
use keyward_registry::metrics;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadMetrics {}

/// The registry's part of the metrics.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Samples.
    pub metrics: Vec<Sample>,
}

impl ControlOperation for ReadMetrics {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "metrics",
        body: BodyKind::None,
        takes_query: false,
        access: Access::RolesOrScraper(&[Role::Owner, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        if matches!(by.actor, Actor::Scraper) { Ok(()) } else { check_unlimited(by) }
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { metrics: metrics::read(store, by.now)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        outcome.map(|Outcome { metrics }| Answer::Metrics(metrics, Exposition::of(input.head)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "readMetrics",
  "tags": ["Usage"],
  "summary": "Returns the metrics in a form of Prometheus",
  "description": "Owner, auditor, without a limit to environments; or the holder of `METRICS_TOKEN`. OpenMetrics 1.0 if `Accept` prefers it, otherwise the classic text form.",
  "security": [{"member": []}, {"access": []}, {"metricsToken": []}],
  "responses": {
    "200": {
      "description": "One family after the other; at most 120 seconds late",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "text/plain; version=0.0.4; charset=utf-8": {"schema": {"type": "string"}},
        "application/openmetrics-text; version=1.0.0; charset=utf-8": {"schema": {"type": "string"}}
      }
    }
  }
}"##;
