//! A JSON-RPC client that can also send what no client should.

use alloy_primitives::{Address, B256, U256};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// Nobody answers.
    Unreachable(String),
    /// The server's error object.
    Rejected {
        /// JSON-RPC error code.
        code: i64,
        /// Message.
        message: String,
        /// Data, null when there is none.
        data: Value,
    },
}

/// The RPC server of one node. Every call is a connection of its own: a node that died holds nothing open here.
#[derive(Clone, Copy, Debug)]
pub struct Rpc {
    port: u16,
}

impl Rpc {
    /// The server on this port of 127.0.0.1.
    pub fn new(port: u16) -> Self {
        Self { port }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends any bytes as a request of any method, and returns whatever comes back.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn send(&self, method: Method, body: impl Into<Bytes>) -> Result<(StatusCode, Bytes), String> {
        self.exchange(method, "/", body).await
    }

    /// What the server, be it JSON-RPC's or the metrics', has at a path.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn get(&self, path: &str) -> Result<String, String> {
        let (_, body) = self.exchange(Method::GET, path, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes), String> {
        let exchange = async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let connection = tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", format!("127.0.0.1:{}", self.port))
                .header("content-type", "application/json")
                .body(Full::new(body.into()))?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let bytes = response.into_body().collect().await?.to_bytes();
            connection.abort();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, bytes))
        };
        exchange.await.map_err(|error| error.to_string())
    }

    /// Calls a method.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, body) = self.send(Method::POST, request.to_string()).await.map_err(CallError::Unreachable)?;
        let response = serde_json::from_slice(&body).map_err(|error| CallError::Unreachable(error.to_string()))?;
        result_of(response)
    }

    /// Calls a method that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let described = format!("{method} {params}");
        self.try_call(method, params).await.unwrap_or_else(|error| panic!("{} {described}: {error:?}", self.url()))
    }

    /// Calls one method with many parameters in one batch; the results are in the order of the parameters.
    ///
    /// # Panics
    /// When the batch as a whole fails.
    pub async fn batch(&self, method: &str, params: &[Value]) -> Vec<Result<Value, CallError>> {
        let calls = params.iter().enumerate();
        let calls = calls.map(|(id, params)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let request = Value::from_iter(calls).to_string();
        let (_, body) = self.send(Method::POST, request).await.expect("a batch");
        let mut responses: Vec<Value> = serde_json::from_slice(&body).expect("an array of responses");
        responses.sort_by_key(|response| response["id"].as_u64());
        assert_eq!(responses.len(), params.len(), "one response a call");
        responses.into_iter().map(result_of).collect()
    }

    /// Number of the last block; `None` while the node does not answer.
    pub async fn try_height(&self) -> Option<u64> {
        self.try_call("eth_blockNumber", json!([])).await.ok().map(|height| quantity(&height))
    }

    /// Number of the last block.
    pub async fn height(&self) -> u64 {
        quantity(&self.call("eth_blockNumber", json!([])).await)
    }

    /// A block with transaction hashes; null when there is none.
    pub async fn block(&self, number: u64) -> Value {
        self.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await
    }

    /// Hash of a block that must exist.
    pub async fn hash(&self, number: u64) -> B256 {
        let block = self.block(number).await;
        serde_json::from_value(block["hash"].clone()).unwrap_or_else(|e| panic!("block {number}: {e}: {block}"))
    }

    /// Balance in wei at the last block.
    pub async fn balance(&self, address: Address) -> U256 {
        u256(&self.call("eth_getBalance", json!([address, "latest"])).await)
    }

    /// Transactions sent by an account, up to the last block.
    pub async fn nonce(&self, address: Address) -> u64 {
        quantity(&self.call("eth_getTransactionCount", json!([address, "latest"])).await)
    }

    /// Connected peers.
    pub async fn peer_count(&self) -> u64 {
        quantity(&self.call("net_peerCount", json!([])).await)
    }

    /// Receipt of a transaction; `None` until it is mined.
    pub async fn receipt(&self, hash: B256) -> Option<Value> {
        let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
        (!receipt.is_null()).then_some(receipt)
    }
}

fn result_of(mut response: Value) -> Result<Value, CallError> {
    let error = response["error"].take();
    if error.is_null() {
        return Ok(response["result"].take());
    }
    Err(CallError::Rejected {
        code: error["code"].as_i64().unwrap_or_default(),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        data: error["data"].clone(),
    })
}

/// A hexadecimal quantity of at most 64 bits.
///
/// # Panics
/// When it is none.
pub fn quantity(value: &Value) -> u64 {
    u256(value).try_into().unwrap_or_else(|_| panic!("{value} is above 64 bits"))
}

/// A hexadecimal quantity.
///
/// # Panics
/// When it is none.
pub fn u256(value: &Value) -> U256 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is not a quantity"))
}
