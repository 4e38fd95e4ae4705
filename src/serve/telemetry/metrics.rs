//! Numbers for Prometheus, under the names of k8s.io/apiserver where it has the thing.
//!
//! Labels have values from closed sets: whatever callers send, the number of series is bounded (CVE-2020-8552 was one
//! that was not).

use std::fmt::Write;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::process_usage;
use super::request_record::verb_or_other;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    resource: &'static str,
    subresource: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// What one finished request adds.
#[derive(Debug)]
pub struct Sample {
    /// Kubernetes' verb; empty for OPTIONS, and for what is no request for a proxy subresource.
    pub verb: &'static str,
    pub resource: &'static str,
    pub code: u16,
    pub stage_reason: Option<&'static str>,
    pub tunnel: bool,
    pub until_response: Option<Duration>,
    pub took: Duration,
}

/// Numbers that are read when somebody asks, as their owners count them already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauges {
    pub token_reviews: u64,
    pub access_reviews: u64,
    pub watch_failures: u64,
    pub unreadable_objects: u64,
    pub certificate_failures: u64,
    /// Unix seconds; 0 while there is no certificate.
    pub certificate_expires: u64,
    pub access_lines_lost: u64,
    pub tunnels: u64,
    pub idle_connections: u64,
    pub limited_known_reviews: u64,
    pub limited_unknown_reviews: u64,
    /// For everybody, one user, one namespace.
    pub refused_requests: [u64; 3],
    pub refused_tunnels: [u64; 3],
}

/// Every metric of this server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    in_flight: Gauge,
    until_response: Histogram,
    tunnels_ended: Counter,
    connects: Counter,
    retries: Counter,
}

/// Seconds, from a local response to a very slow one.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            requests: Family::default(),
            refusals: Family::default(),
            in_flight: Gauge::default(),
            until_response: Histogram::new(BUCKETS),
            tunnels_ended: Counter::default(),
            connects: Counter::default(),
            retries: Counter::default(),
            registry: Registry::default(),
        };
        registry.register(
            "apiserver_request",
            "Requests by verb, resource and status code",
            // Clones share the number: the registry reads what is counted here.
            metrics.requests.clone(),
        );
        registry.register(
            "apiserver_current_inflight_requests",
            "Requests and tunnels under way",
            metrics.in_flight.clone(),
        );
        registry.register(
            "apiserver_request_duration_seconds",
            "From the first look at a request to the head of its response",
            metrics.until_response.clone(),
        );
        registry.register(
            "throughway_refusals",
            "Requests that did not reach their end, by cause",
            metrics.refusals.clone(),
        );
        registry.register(
            "throughway_tunnels_ended",
            "Tunnels that have ended",
            metrics.tunnels_ended.clone(),
        );
        registry.register(
            "throughway_backend_connects",
            "Connections made to backends",
            metrics.connects.clone(),
        );
        registry.register(
            "throughway_backend_retries",
            "Requests sent again because a pooled connection had been closed",
            metrics.retries.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    /// A connection to a backend was made.
    pub fn connected(&self) {
        self.connects.inc();
    }

    /// A request went out a second time.
    pub fn retried(&self) {
        self.retries.inc();
    }

    pub fn begun(&self) {
        self.in_flight.inc();
    }

    pub fn ended(&self, sample: &Sample) {
        // Also for those that failed, as it stands for what is under way.
        self.in_flight.dec();
        let subresource = if sample.resource.is_empty() {
            ""
        } else {
            "proxy"
        };
        let Sample {
            verb,
            resource,
            code,
            ..
        } = *sample;
        self.requests
            .get_or_create(&RequestLabels {
                verb: verb_or_other(verb),
                resource,
                subresource,
                // A code is a backend's choice, so it is brought down to those that exist.
                code: code_label(code),
            })
            .inc();
        if let Some(reason) = sample.stage_reason {
            self.refusals.get_or_create(&RefusalLabels { reason }).inc();
        }
        // The time of a tunnel says nothing of how fast a backend is.
        if sample.tunnel {
            self.tunnels_ended.inc();
        } else {
            self.until_response
                .observe(sample.until_response.unwrap_or(sample.took).as_secs_f64());
        }
    }

    /// Everything in the text format of Prometheus.
    pub fn text(&self, gauges: &Gauges) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        let end = "# EOF\n";
        // The encoder ends the text itself, and nothing may follow that end.
        text.truncate(text.len() - if text.ends_with(end) { end.len() } else { 0 });
        for ((name, kind, help), value) in GAUGES.into_iter().zip(gauges.values()) {
            write!(
                text,
                "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}\n"
            )
            .expect("a String takes everything");
        }
        gauges.write_limits(&mut text);
        text.push_str(end);
        text
    }
}

/// Name, kind and help of the numbers in [`Gauges::values`], in the same order.
const GAUGES: [(&str, &str, &str); 11] = [
    (
        "apiserver_delegated_authn_request_total",
        "counter",
        "TokenReviews asked for",
    ),
    (
        "apiserver_delegated_authz_request_total",
        "counter",
        "SubjectAccessReviews asked for",
    ),
    (
        "throughway_watch_failures_total",
        "counter",
        "Watches that broke off",
    ),
    (
        "throughway_unreadable_objects_total",
        "counter",
        "Objects of the cluster that could not be read and were left out",
    ),
    (
        "throughway_certificate_failures_total",
        "counter",
        "New serving certificates of no use",
    ),
    (
        "throughway_serving_certificate_expiry_seconds",
        "gauge",
        "End of the serving certificate, Unix time",
    ),
    (
        "throughway_access_lines_lost_total",
        "counter",
        "Lines of the access log that had no place",
    ),
    (
        "apiserver_longrunning_requests",
        "gauge",
        "Tunnels under way",
    ),
    (
        "throughway_backend_idle_connections",
        "gauge",
        "Connections to backends that wait for a request",
    ),
    ("process_resident_memory_bytes", "gauge", "Resident memory"),
    (
        "process_cpu_seconds_total",
        "counter",
        "User and system time",
    ),
];

impl Gauges {
    /// The counters of limits, each with a label from a closed set.
    fn write_limits(&self, text: &mut String) {
        let [everybody, user, namespace] = self.refused_requests;
        let [all_tunnels, user_tunnels, namespace_tunnels] = self.refused_tunnels;
        let limits = [
            ("inflight", everybody),
            ("inflight_user", user),
            ("inflight_namespace", namespace),
            ("tunnels", all_tunnels),
            ("tunnels_user", user_tunnels),
            ("tunnels_namespace", namespace_tunnels),
            ("reviews", self.limited_known_reviews),
            ("reviews_unknown", self.limited_unknown_reviews),
        ];
        let name = "throughway_limited_total";
        let help = "What was refused because a limit was reached, by limit";
        write!(text, "# HELP {name} {help}.\n# TYPE {name} counter\n")
            .expect("a String takes everything");
        for (limit, count) in limits {
            writeln!(text, "{name}{{limit=\"{limit}\"}} {count}")
                .expect("a String takes everything");
        }
    }

    fn values(&self) -> [f64; GAUGES.len()] {
        let (memory, cpu) = process_usage::read();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count above 2^53 will not be read to the last digit"
        )]
        let number = |value: u64| value as f64;
        [
            number(self.token_reviews),
            number(self.access_reviews),
            number(self.watch_failures),
            number(self.unreadable_objects),
            number(self.certificate_failures),
            number(self.certificate_expires),
            number(self.access_lines_lost),
            number(self.tunnels),
            number(self.idle_connections),
            memory,
            cpu,
        ]
    }
}

/// Codes that no HTTP response has are one label.
fn code_label(code: u16) -> u16 {
    if (100..600).contains(&code) { code } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(code: u16) -> Sample {
        Sample {
            verb: "get",
            resource: "services",
            code,
            stage_reason: None,
            tunnel: false,
            until_response: None,
            took: Duration::from_millis(3),
        }
    }

    #[test]
    fn a_request_is_counted_under_kubernetes_names() {
        let metrics = Metrics::new();
        metrics.begun();
        metrics.ended(&sample(200));
        let text = metrics.text(&Gauges::default());
        assert!(text.contains(r#"apiserver_request_total{verb="get",resource="services",subresource="proxy",code="200"} 1"#), "{text}");
        assert!(
            text.contains("apiserver_current_inflight_requests 0"),
            "{text}"
        );
        assert!(
            text.contains(r#"apiserver_request_duration_seconds_bucket{le="0.005"} 1"#),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn odd_codes_do_not_grow_the_number_of_series() {
        let metrics = Metrics::new();
        for code in 0..u16::MAX {
            metrics.begun();
            metrics.ended(&sample(code));
        }
        let text = metrics.text(&Gauges::default());
        let series = text
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total"))
            .count();
        assert_eq!(series, 501);
    }
}
