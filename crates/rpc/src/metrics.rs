//! What an operator sees of JSON-RPC.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;
use std::time::Instant;

/// Duration of a call, in seconds.
const DURATION_BUCKETS: [f64; 8] = [0.0005, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0, 20.0];
/// In the place of names that no method has: a label takes no text of a caller's.
const UNKNOWN: &str = "unknown";
/// The codes that calls end with: 0 for a result, and [`MethodError`](crate::error::MethodError)'s.
const CODES: [i32; 7] = [0, 3, -32000, -32005, -32601, -32602, -32603];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// How a caller is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    WebSocket,
    Ipc,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

impl Transport {
    const ALL: [Self; 3] = [Self::Http, Self::WebSocket, Self::Ipc];
}

impl From<Transport> for TransportLabel {
    fn from(transport: Transport) -> Self {
        let transport = match transport {
            Transport::Http => "http",
            Transport::WebSocket => "websocket",
            Transport::Ipc => "ipc",
        };
        Self { transport }
    }
}

/// A bound that turned a connection, a request or a call away before any method saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Too many connections.
    Connections,
    /// Too long a message.
    RequestBytes,
    /// A body that did not come to its end in time.
    BodyTime,
    /// Too many calls in a batch.
    BatchCalls,
    /// Nested too deep.
    Depth,
    /// No memory for more requests and answers.
    BufferedBytes,
    /// Too many calls of one address.
    Rate,
    /// Too many subscriptions of one connection.
    Subscriptions,
    /// A subscription whose client is too slow for its events, or a connection of many calls that is not read: it was ended.
    SlowReader,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

impl Limit {
    const ALL: [Self; 9] = [
        Self::Connections,
        Self::RequestBytes,
        Self::BodyTime,
        Self::BatchCalls,
        Self::Depth,
        Self::BufferedBytes,
        Self::Rate,
        Self::Subscriptions,
        Self::SlowReader,
    ];
}

impl From<Limit> for LimitLabel {
    fn from(limit: Limit) -> Self {
        let limit = match limit {
            Limit::Connections => "connections",
            Limit::RequestBytes => "request_bytes",
            Limit::BodyTime => "body_time",
            Limit::BatchCalls => "batch_calls",
            Limit::Depth => "depth",
            Limit::BufferedBytes => "buffered_bytes",
            Limit::Rate => "rate",
            Limit::Subscriptions => "subscriptions",
            Limit::SlowReader => "slow_reader",
        };
        Self { limit }
    }
}

/// Counters and gauges of one server; clones share them. The default is registered nowhere.
#[derive(Clone, Debug)]
pub struct RpcMetrics {
    requests: Family<CallLabels, Counter>,
    durations: Family<MethodLabel, Histogram, fn() -> Histogram>,
    connections: Family<TransportLabel, Gauge>,
    subscriptions: Gauge,
    refused: Family<LimitLabel, Counter>,
}

impl Default for RpcMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            connections: Family::default(),
            subscriptions: Gauge::default(),
            refused: Family::default(),
        }
    }
}

impl RpcMetrics {
    /// Registers the metrics under `rpc_`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let r = registry.sub_registry_with_prefix("rpc");
        let requests = "Calls, those in batches one by one, by method and JSON-RPC code; 0 for a result";
        r.register("requests", requests, metrics.requests.clone());
        let durations = "Time from a call's arrival to its result, waiting for its turn included, by method";
        r.register("request_duration_seconds", durations, metrics.durations.clone());
        let connections = "Open connections of HTTP (those that became WebSockets included), of those the WebSockets, and connections to the Unix socket";
        r.register("connections", connections, metrics.connections.clone());
        r.register("subscriptions", "Subscriptions over WebSockets", metrics.subscriptions.clone());
        let refused = "Connections, requests, calls and subscriptions that a limit turned away, by limit";
        r.register("refused", refused, metrics.refused.clone());
        metrics.start_at_zero();
        metrics
    }

    /// What has not happened yet is counted as 0 times, so that a query of it has an answer.
    fn start_at_zero(&self) {
        for code in CODES {
            drop(self.requests.get_or_create(&CallLabels { method: UNKNOWN, code }));
        }
        for transport in Transport::ALL {
            drop(self.connections.get_or_create(&transport.into()));
        }
        for limit in Limit::ALL {
            drop(self.refused.get_or_create(&limit.into()));
        }
    }

    /// Knows a method from now on.
    pub(crate) fn know(&self, method: &'static str) {
        drop(self.requests.get_or_create(&CallLabels { method, code: 0 }));
        drop(self.durations.get_or_create(&MethodLabel { method }));
    }

    /// Counts a call of a method that began at `started` and ended with `code`, 0 for a result.
    pub(crate) fn count(&self, method: &'static str, code: i32, started: Instant) {
        self.requests.get_or_create(&CallLabels { method, code }).inc();
        self.durations.get_or_create(&MethodLabel { method }).observe(started.elapsed().as_secs_f64());
    }

    /// Counts a call of a name that is no method, or not over this transport.
    pub(crate) fn count_unknown(&self, code: i32) {
        self.requests.get_or_create(&CallLabels { method: UNKNOWN, code }).inc();
    }

    pub(crate) fn count_refused(&self, limit: Limit) {
        self.refused.get_or_create(&limit.into()).inc();
    }

    /// Counts a connection until the result is dropped.
    pub(crate) fn connected(&self, transport: Transport) -> Present {
        Present::of(self.connections.get_or_create_owned(&transport.into()))
    }

    /// Counts a subscription until the result is dropped.
    pub(crate) fn subscribed(&self) -> Present {
        Present::of(self.subscriptions.clone())
    }
}

/// One more in a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Present(Gauge);

impl Present {
    fn of(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}
