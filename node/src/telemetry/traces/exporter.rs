//! Sends spans to a collector on a thread of its own. Whoever records never waits: what does not fit is dropped.

use super::client::BlockingClient;
use super::{TracedNode, TracesConfig};
use futures::executor::block_on;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Spans that wait to be exported: about four megabytes.
const QUEUE: usize = 8_192;
/// Most spans in one request.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take, retries included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two warnings.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The exporter refuses its settings.
    #[error("cannot export traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The system gives no thread.
    #[error("cannot export traces: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Takes spans.
pub(super) struct SpanSink {
    queue: SyncSender<SpanData>,
    dropped: Counter,
}

impl SpanSink {
    /// Queues a span, or drops it.
    pub(super) fn send(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

/// The thread's side.
pub(super) struct Exporter {
    exporter: opentelemetry_otlp::SpanExporter,
    endpoint: String,
    exported: Counter,
    dropped: Counter,
    warned: Option<Instant>,
}

impl Exporter {
    /// Starts the thread; it ends when the sink is gone and what it took is exported.
    pub(super) fn start(
        config: &TracesConfig,
        node: TracedNode,
        registry: &mut Registry,
    ) -> Result<SpanSink, TracesError> {
        let (exported, dropped) = (Counter::default(), Counter::default());
        let registry = registry.sub_registry_with_prefix("traces");
        registry.register("spans_exported", "Spans of transactions that a collector took", exported.clone());
        let help = "Spans of transactions that were lost: the queue was full, or the collector did not take them";
        registry.register("spans_dropped", help, dropped.clone());
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(BlockingClient::new(TIMEOUT))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&config.endpoint)
            .with_timeout(TIMEOUT)
            .build()?;
        exporter.set_resource(&resource(node));
        let (queue, spans) = mpsc::sync_channel(QUEUE);
        let sink = SpanSink { queue, dropped: dropped.clone() };
        let endpoint = config.endpoint.clone();
        let thread = Self { exporter, endpoint, exported, dropped, warned: None };
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || thread.run(&spans))?;
        Ok(sink)
    }

    fn run(mut self, spans: &Receiver<SpanData>) {
        while let Ok(first) = spans.recv() {
            let batch = gather(first, spans);
            let count = batch.len() as u64;
            match block_on(self.exporter.export(batch)) {
                Ok(()) => _ = self.exported.inc_by(count),
                Err(error) => {
                    self.dropped.inc_by(count);
                    self.warn(&error.to_string());
                }
            }
        }
    }

    fn warn(&mut self, error: &str) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            let (endpoint, dropped) = (&self.endpoint, self.dropped.get());
            tracing::warn!(%endpoint, error, dropped, "traces are lost: does an OTLP/HTTP collector listen there?");
        }
    }
}

/// What follows a span within [`GATHER`], as far as it fits into one request.
fn gather(first: SpanData, spans: &Receiver<SpanData>) -> Vec<SpanData> {
    let (mut batch, end) = (vec![first], Instant::now() + GATHER);
    while batch.len() < BATCH {
        match spans.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(span) => batch.push(span),
            Err(_) => break,
        }
    }
    batch
}

/// What all spans of this node have in common.
fn resource(node: TracedNode) -> Resource {
    let role = if node.is_validator { "validator" } else { "full" };
    Resource::builder_empty()
        .with_service_name("heddle")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", node.peer_id.to_string()),
            KeyValue::new("heddle.chain.id", i64::try_from(node.chain_id).unwrap_or(i64::MAX)),
            KeyValue::new("heddle.node.role", role),
        ])
        .build()
}
