//! The control plane's port to one event. [`keyward_edge::Platform`] is its port to stores, clock, log and signatures.

use super::leaks::ReportPlatform;
use keyward_config::AccessSettings;
use keyward_edge::BackgroundReport;
use keyward_edge::usage::UsageDue;
use keyward_http::problem::Code;
use keyward_key::entropy::Entropy;

/// Time limit for a body to arrive, in milliseconds. A client that stops in the middle must not keep what it sent in memory.
pub const BODY_TIMEOUT_MS: u32 = 15_000;

/// Services of the platform for the control plane: bodies, randomness, sign-in by Cloudflare Access, published documents.
#[expect(async_fn_in_trait, reason = "everything runs on the one thread of its isolate")]
pub trait ControlPlatform {
    /// Reads the body of the request, of at most `max_bytes`, within [`BODY_TIMEOUT_MS`].
    ///
    /// # Errors
    /// [`BodyError`].
    async fn read_body(&self, max_bytes: usize) -> Result<Vec<u8>, BodyError>;

    /// Returns the system's source of randomness.
    fn entropy(&self) -> impl Entropy;

    /// Verifies the JWT of Cloudflare Access, and returns the e-mail address in it.
    ///
    /// # Errors
    /// [`AccessFailure`].
    async fn verify_access(&self, token: &str, settings: &AccessSettings) -> Result<String, AccessFailure>;

    /// Starts a refresh of the feed in the background.
    fn refresh_in_background(&self);

    /// Starts a renewal of leases of limited keys in the background.
    fn renew_in_background(&self);

    /// Starts the report that a counted request makes due, in the background. The country of the client of a gateway is not known.
    fn report_usage_in_background(&self, due: UsageDue);

    /// Starts to send a report to the authority in the background.
    fn report_in_background(&self, report: BackgroundReport);

    /// Returns the port of GitHub's leak reports.
    fn reports(&self) -> &impl ReportPlatform;

    /// Returns a text that is not ASCII in Unicode's normalization form C (UAX #15).
    fn nfc(&self, text: &str) -> String;

    /// Returns the entry of the console's manifest for a path, as JSON text. `None` if there is none, or no store of the files.
    fn console_file(&self, path: &str) -> Option<String>;

    /// Returns the advice of a code's problem page.
    fn advice(&self, code: Code) -> String;
}

/// Reason why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It did not arrive completely.
    Incomplete,
}

/// Reason why a sign-in through Cloudflare Access failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFailure {
    /// The JWT is not acceptable: 401. The reason is for the log.
    Refused(String),
    /// The team's keys could not be fetched: 503, because the JWT could not be verified. The cause is for the log.
    Unavailable(String),
}
