//! A collector of traces: what OpenTelemetry's exporters send to over HTTP.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A span with what its sender says of itself.
#[derive(Clone, Debug)]
pub struct Told {
    resource: Vec<KeyValue>,
    pub span: Span,
}

impl Told {
    /// Whose span it is.
    pub fn node(&self) -> String {
        text(&self.resource, "service.instance.id").expect("every node names itself")
    }

    /// What the sender says of itself under this key.
    pub fn of_node(&self, key: &str) -> Option<String> {
        text(&self.resource, key)
    }

    /// What the span says under this key.
    pub fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// Listens on loopback and keeps what it is sent, until the test ends.
pub struct Collector {
    port: u16,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, told) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        tokio::spawn(serve(listener, told.clone()));
        Self { port, told }
    }

    /// Where it is, as the operator of a node names it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it was sent.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, told: Arc<Mutex<Vec<Told>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let told = told.clone();
        let service = service_fn(move |request| take(request, told.clone()));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A node that is killed breaks its connection.
        tokio::spawn(async move { _ = connection.await });
    }
}

async fn take(request: Request<Incoming>, told: Arc<Mutex<Vec<Told>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/traces"));
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let mut response = Response::new(Full::default());
    let Ok(body) = request.into_body().collect().await else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let message = ExportTraceServiceRequest::decode(body.to_bytes()).unwrap();
    for of_node in message.resource_spans {
        let resource = of_node.resource.unwrap_or_default().attributes;
        let spans = of_node.scope_spans.into_iter().flat_map(|scope| scope.spans);
        told.lock().unwrap().extend(spans.map(|span| Told { resource: resource.clone(), span }));
    }
    *response.body_mut() = ExportTraceServiceResponse::default().encode_to_vec().into();
    Ok(response)
}
