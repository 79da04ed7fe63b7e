//! Options of where JSON-RPC is served, and to whom.

use clap::Args;
use heddle_rpc::{ParseApiError, RpcConfig};
use std::net::IpAddr;

/// Options of `heddle node` about JSON-RPC; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct RpcOptions {
    /// Serve JSON-RPC over HTTP and WebSocket.
    #[arg(id = "http.enabled", long = "http", env = "HEDDLE_HTTP", help_heading = "JSON-RPC")]
    http: bool,
    /// Address to serve on.
    #[arg(
        id = "http.addr",
        long = "http.addr",
        env = "HEDDLE_HTTP_ADDR",
        value_name = "IP",
        default_value = "127.0.0.1",
        help_heading = "JSON-RPC"
    )]
    http_addr: IpAddr,
    /// Port to serve on; 0 lets the system choose.
    #[arg(
        id = "http.port",
        long = "http.port",
        env = "HEDDLE_HTTP_PORT",
        value_name = "PORT",
        default_value_t = 8545,
        help_heading = "JSON-RPC"
    )]
    http_port: u16,
    /// Namespaces to serve, separated by commas.
    #[arg(id = "http.api", long = "http.api", env = "HEDDLE_HTTP_API", value_name = "NAMES", default_value = "eth,net,web3,heddle", value_delimiter = ',', value_parser = ["eth", "net", "web3", "heddle"], help_heading = "JSON-RPC")]
    http_api: Vec<String>,
    /// Origins that browsers may call from, separated by commas; `*` is all [default: none].
    #[arg(
        id = "http.corsdomain",
        long = "http.corsdomain",
        env = "HEDDLE_HTTP_CORSDOMAIN",
        value_delimiter = ',',
        value_name = "ORIGIN",
        help_heading = "JSON-RPC"
    )]
    http_cors: Vec<String>,
}

impl RpcOptions {
    /// What the server is started with; `None` when it is not wanted.
    ///
    /// # Errors
    /// When a namespace is none.
    pub fn config(self) -> Result<Option<RpcConfig>, ParseApiError> {
        if !self.http {
            return Ok(None);
        }
        Ok(Some(RpcConfig {
            addr: self.http_addr,
            port: self.http_port,
            apis: self.http_api.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            cors_origins: self.http_cors,
            ..RpcConfig::default()
        }))
    }
}
