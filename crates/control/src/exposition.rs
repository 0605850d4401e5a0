//! The two text forms of metrics: OpenMetrics 1.0, and the classic form of Prometheus.
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;

use super::metrics::Samples;
use keyward_http::head::Head;
use keyward_http::media_type::negotiate;
use keyward_http::reply::Reply;
use keyward_protocol::metrics::{FAMILIES, Family, Kind, seconds};

const OPEN_METRICS: &str = "application/openmetrics-text";
const CLASSIC: &str = "text/plain";

/// Text form of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// The classic form of Prometheus.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// Returns the form that the request prefers: the classic one without `Accept`, and for a client that accepts neither.
    pub(super) fn of(head: &Head<'_>) -> Self {
        match negotiate(head.header("accept"), &[CLASSIC, OPEN_METRICS]) {
            Some(OPEN_METRICS) => Self::OpenMetrics,
            _ => Self::Classic,
        }
    }

    /// Returns the response with these samples.
    pub(super) fn reply(self, samples: &Samples, request_id: &str) -> Reply {
        let media_type = match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        };
        let mut reply = Reply::table(media_type, self.text(samples), request_id);
        reply.headers.push(("vary", "Accept".to_owned()));
        reply
    }

    /// Writes every family, those without samples too.
    fn text(self, samples: &Samples) -> String {
        let mut text = String::new();
        for family in FAMILIES {
            self.head(&mut text, family);
            let of_family = samples
                .iter()
                .filter(|((name, _), _)| name == family.name)
                .map(|((_, labels), value)| (labels, *value));
            match family.kind {
                Kind::Histogram(bounds) => histogram(&mut text, family, bounds, samples),
                Kind::Counter => of_family.for_each(|sample| line(&mut text, family, "_total", sample)),
                Kind::Gauge => of_family.for_each(|sample| line(&mut text, family, "", sample)),
            }
        }
        if self == Self::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    /// Writes the metadata of a family. A counter's family has no `_total` in OpenMetrics, and has it in the classic form.
    fn head(self, text: &mut String, family: &Family) {
        let (kind, suffix) = match family.kind {
            Kind::Counter => ("counter", if self == Self::Classic { "_total" } else { "" }),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram(_) => ("histogram", ""),
        };
        let Family { name, help, .. } = family;
        let _ = writeln!(text, "# HELP keyward_{name}{suffix} {help}\n# TYPE keyward_{name}{suffix} {kind}");
        if self == Self::OpenMetrics && is_seconds(family) {
            let _ = writeln!(text, "# UNIT keyward_{name} seconds");
        }
    }
}

fn is_seconds(family: &Family) -> bool {
    family.name.ends_with("_seconds")
}

fn line(text: &mut String, family: &Family, suffix: &str, (labels, value): (&String, u64)) {
    let value = if is_seconds(family) { seconds(value) } else { value.to_string() };
    let labels = if labels.is_empty() { String::new() } else { ["{", labels, "}"].concat() };
    let _ = writeln!(text, "keyward_{}{suffix}{labels} {value}", family.name);
}

/// Writes every bucket, the count and the sum. The stored buckets are cumulative already.
fn histogram(text: &mut String, family: &Family, bounds: &[u64], samples: &Samples) {
    let name = family.name;
    let value = |labels: &str| samples.get(&(name.to_owned(), labels.to_owned())).copied().unwrap_or_default();
    for bound in bounds {
        let le = format!("le=\"{}\"", seconds(*bound));
        let _ = writeln!(text, "keyward_{name}_bucket{{{le}}} {}", value(&le));
    }
    let all = value("le=\"+Inf\"");
    let _ = writeln!(text, "keyward_{name}_bucket{{le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "keyward_{name}_count {all}\nkeyward_{name}_sum {}", seconds(value("")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_protocol::metrics::labels;

    fn samples() -> Samples {
        let rows = [
            ("requests", labels(&[("decision", "allowed"), ("integration", "c\"\\\n")]), 7),
            ("authority_silent_seconds", String::new(), 1_500),
            ("authority_age_seconds", labels(&[("location", "FRA")]), 250),
            ("revocation_effective_seconds", "le=\"3.0\"".to_owned(), 2),
            ("revocation_effective_seconds", "le=\"+Inf\"".to_owned(), 3),
            ("revocation_effective_seconds", String::new(), 8_040),
            ("unknown_to_this_version", String::new(), 1),
        ];
        rows.into_iter().map(|(family, labels, value)| ((family.to_owned(), labels), value)).collect()
    }

    fn of(text: &str, name: &str) -> Vec<String> {
        let is_of = |line: &&str| line.contains(name);
        text.lines().filter(is_of).map(str::to_owned).collect()
    }

    #[test]
    fn the_classic_form_names_a_counter_with_total() {
        let text = Exposition::Classic.text(&samples());
        assert_eq!(
            of(&text, "keyward_requests"),
            [
                "# HELP keyward_requests_total Requests with a genuine key, by decision, integration and route.",
                "# TYPE keyward_requests_total counter",
                r#"keyward_requests_total{decision="allowed",integration="c\"\\\n"} 7"#,
            ]
        );
        assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains("unknown_to_this_version"));
    }

    #[test]
    fn openmetrics_has_units_and_an_end() {
        let text = Exposition::OpenMetrics.text(&samples());
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(
            of(&text, "keyward_authority"),
            [
                "# HELP keyward_authority_age_seconds Highest age of the authority's last answer in an isolate of the location.",
                "# TYPE keyward_authority_age_seconds gauge",
                "# UNIT keyward_authority_age_seconds seconds",
                r#"keyward_authority_age_seconds{location="FRA"} 0.25"#,
                "# HELP keyward_authority_silent_seconds Time for which isolates asked the authority without an answer.",
                "# TYPE keyward_authority_silent_seconds counter",
                "# UNIT keyward_authority_silent_seconds seconds",
                "keyward_authority_silent_seconds_total 1.5",
            ]
        );
    }

    #[test]
    fn a_histogram_has_every_bucket_its_count_and_its_sum() {
        let lines = of(&Exposition::Classic.text(&samples()), "keyward_revocation_effective_seconds");
        assert_eq!(lines.len(), 2 + 7 + 3);
        assert!(lines.contains(&r#"keyward_revocation_effective_seconds_bucket{le="3.0"} 2"#.to_owned()));
        assert_eq!(
            lines[9..],
            [
                r#"keyward_revocation_effective_seconds_bucket{le="+Inf"} 3"#,
                "keyward_revocation_effective_seconds_count 3",
                "keyward_revocation_effective_seconds_sum 8.04",
            ]
        );
    }
}
