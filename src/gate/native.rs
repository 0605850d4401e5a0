//! Signing outside the worker: tests, fuzzers and the simulator run natively, where a signature is waited for by nobody.

use super::{Gate, Grant, Reason, Refusal, Step, Unsigned};
use crate::config::Config;
use crate::http::head::Head;
use crate::http::problem::Code;
use crate::key::assertion::signed;
use crate::time::Millis;

impl Gate {
    /// [`Self::admit`], with the assertion signed where it is to be.
    pub fn admit_natively(&mut self, config: &Config, head: &Head<'_>, now: Millis, request_id: &str) -> Step {
        match self.admit(config, head, now) {
            Step::Sign(unsigned) => {
                self.sign_natively(config, unsigned, head, request_id).map_or_else(Step::Refuse, Step::Forward)
            }
            step => step,
        }
    }

    /// Signs an assertion.
    ///
    /// # Errors
    /// It has not its form, which it always has.
    pub fn sign_natively(
        &mut self,
        config: &Config,
        unsigned: Unsigned,
        head: &Head<'_>,
        request_id: &str,
    ) -> Result<Grant, Refusal> {
        let house = config.keyring.current();
        let key = house.assertion();
        if key.public().is_none() {
            key.learn_public(key.native_public());
        }
        let text = house.assertion_key().and_then(|public| unsigned.text(public, head, request_id));
        let text = text.ok_or_else(|| Refusal::new(Code::InternalError, Reason::Unsigned))?;
        let signature = key.native_sign(text.as_bytes());
        Ok(self.signed(unsigned, signed(text, &signature)))
    }
}
