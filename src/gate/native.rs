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
            Step::Sign(unsigned) => match self.sign_natively(config, unsigned, head, request_id) {
                Some(grant) => Step::Forward(grant),
                None => Step::Refuse(Refusal::new(Code::InternalError, Reason::Unsigned)),
            },
            step => step,
        }
    }

    /// Signs an assertion. `None` if it has not its form, which it always has.
    pub fn sign_natively(
        &mut self,
        config: &Config,
        unsigned: Unsigned,
        head: &Head<'_>,
        request_id: &str,
    ) -> Option<Grant> {
        let house = config.keyring.current();
        house.assertion().learn_public(house.assertion().native_public());
        let text = unsigned.text(house.assertion_key()?, head, request_id)?;
        let signature = house.assertion().native_sign(text.as_bytes());
        Some(self.signed(unsigned, signed(text, &signature)))
    }
}
