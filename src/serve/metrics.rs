//! Counters for Prometheus, in base units.

use axum::http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

/// Upper bounds of the durations that are counted together, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    code: u16,
}

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Histogram, fn() -> Histogram>,
    pub(crate) hits: Counter,
    pub(crate) images: Gauge,
    pub(crate) bytes: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("sightword");
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let requests = Family::new_with_constructor(histogram);
        let (hits, images, bytes) = (Counter::default(), Gauge::default(), Gauge::default());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", build);
        registry.register_with_unit(
            "http_request_duration",
            "From the last header of a request to its answer",
            Unit::Seconds,
            requests.clone(),
        );
        registry.register("search_hits", "Pictures that searches matched", hits.clone());
        registry.register("index_images", "Pictures in the index", images.clone());
        registry.register_with_unit("index_size", "The index on disk", Unit::Bytes, bytes.clone());
        Self { registry, requests, hits, images, bytes }
    }

    pub(crate) fn request(&self, route: &str, code: StatusCode, seconds: f64) {
        let labels = Request { route: route.to_owned(), code: code.as_u16() };
        self.requests.get_or_create(&labels).observe(seconds);
    }

    /// All of it as OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail: the `Result` is that of any writer.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
