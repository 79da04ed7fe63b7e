//! The older of the two text formats. Scrapers that do not ask for OpenMetrics, and Prometheus' own tools, read only that.

/// The content type of OpenMetrics.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of what [`plain`] gives.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics' text in Prometheus' older format: the samples are the same, but there a counter and a constant are
/// described by the name that their samples have.
pub fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // The name that it goes with is known with the type, on the next line.
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(described, _)| *described == name) {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use prometheus_client::metrics::{
        counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info,
    };
    use prometheus_client::registry::Registry;

    #[test]
    fn samples_are_described_by_their_own_names() {
        let mut registry = Registry::default();
        let (counter, family) = (Counter::<u64>::default(), Family::<Vec<(&str, &str)>, Counter>::default());
        counter.inc_by(3);
        family.get_or_create(&vec![("a", "# TYPE x counter")]).inc();
        registry.register("things", "Things", counter);
        registry.register("kinds", "Things by kind", family);
        registry.register("level", "How high", Gauge::<i64>::default());
        registry.register("took_seconds", "How long", Histogram::new([1.0]));
        registry.register("build", "Which", Info::new(vec![("version", "1")]));
        let mut openmetrics = String::new();
        prometheus_client::encoding::text::encode(&mut openmetrics, &registry).unwrap();
        assert_eq!(
            plain(&openmetrics),
            "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 3\n\
             # HELP kinds_total Things by kind.\n# TYPE kinds_total counter\nkinds_total{a=\"# TYPE x counter\"} 1\n\
             # HELP level How high.\n# TYPE level gauge\nlevel 0\n\
             # HELP took_seconds How long.\n# TYPE took_seconds histogram\ntook_seconds_sum 0.0\ntook_seconds_count 0\n\
             took_seconds_bucket{le=\"1.0\"} 0\ntook_seconds_bucket{le=\"+Inf\"} 0\n\
             # HELP build_info Which.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n"
        );
    }
}
