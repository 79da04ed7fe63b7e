//! Writing what is read at the time of a scrape.

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt::Error;

/// A label's value and what is measured of it.
pub type Sample<V> = (&'static str, V);

/// Writes one metric a call.
pub struct Scribe<'a>(pub DescriptorEncoder<'a>);

impl Scribe<'_> {
    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A gauge by a label.
    pub fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        samples: impl IntoIterator<Item = Sample<V>>,
    ) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, measured) in samples {
            metric.encode_family(&[(label, value)])?.encode_gauge(&measured)?;
        }
        Ok(())
    }

    /// A counter.
    pub fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> Result<(), Error> {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    /// A counter by a label.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        samples: impl IntoIterator<Item = Sample<u64>>,
    ) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, counted) in samples {
            ConstCounter::new(counted).encode(metric.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}
