//! Ranges of time in queries: `from` and `to`, rounded to whole steps.

use super::body::invalid;
use super::operations::issue_key::instant;
use super::query::Query;
use keyward_http::problem::Problem;
use keyward_key::time::Millis;
use keyward_protocol::usage::{Step, minute_of};

/// Steps of a range: the number of the first, and the number after the last.
pub(super) struct StepRange {
    pub from: i64,
    pub to: i64,
}

impl StepRange {
    /// Takes `from` and `to`, by default the last `default_steps` steps up to `now`. The first step is the one that contains `from`; the
    /// last one is the one that contains the instant before `to`.
    ///
    /// # Errors
    /// `invalid_request`: a time is malformed, the range is empty, or it has more than `most` steps.
    pub fn take(query: &mut Query, step: Step, default_steps: i64, most: i64, now: Millis) -> Result<Self, Problem> {
        let mut time = |name: &str| query.take(name).map(|text| instant(name, &text)).transpose();
        let (from, to) = (time("from")?, time("to")?);
        let to = to.unwrap_or_else(|| Millis(now.0.saturating_add(1)));
        let end = step.of_minute(minute_of(Millis(to.0.saturating_sub(1)))).saturating_add(1);
        let from = from.map_or(end.saturating_sub(default_steps), |from| step.of_minute(minute_of(from)));
        if from >= end {
            return Err(invalid("from", "This must be before `to`."));
        }
        if end.saturating_sub(from) > most {
            let name = step.as_str();
            return Err(invalid(
                "from",
                format!("The range may have at most {most} steps of one {name}. Send a shorter one."),
            ));
        }
        Ok(Self { from, to: end })
    }
}
