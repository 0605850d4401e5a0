//! Context of one request.

use super::isolate::Isolate;
use keyward_config::Config;
use keyward_http::head::Head;

/// Context of one request: isolate, configuration, platform and head. It borrows everything and is cheap to copy. Forward auth decides
/// about the original request with `RequestContext { head: &original, ..context }`.
pub struct RequestContext<'a, P> {
    /// The isolate's gate and its lookups in flight.
    pub isolate: &'a Isolate,
    /// The configuration.
    pub config: &'a Config,
    /// Stores, clock, log and signatures.
    pub platform: &'a P,
    /// The head of the request to decide about.
    pub head: &'a Head<'a>,
    /// `Keyward-Request-Id`.
    pub request_id: &'a str,
}

/// Context of a lookup, which may or may not belong to a request.
pub struct LookupContext<'a, P> {
    /// The isolate's gate and its lookups in flight.
    pub isolate: &'a Isolate,
    /// The configuration.
    pub config: &'a Config,
    /// Stores, clock and log.
    pub platform: &'a P,
    /// `Keyward-Request-Id` of the request that the lookup is for.
    pub request_id: &'a str,
}

impl<'a, P> RequestContext<'a, P> {
    /// Returns the context for this request's lookups.
    pub const fn lookups(&self) -> LookupContext<'a, P> {
        let Self { isolate, config, platform, request_id, .. } = *self;
        LookupContext { isolate, config, platform, request_id }
    }
}

impl<P> Clone for RequestContext<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for RequestContext<'_, P> {}
