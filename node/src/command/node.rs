//! `heddle node`: a node until a signal, or until something it cannot live without fails.

use super::sync_options::SyncOptions;
use crate::cache::CacheSize;
use crate::execution::{Execution, ModeArg, parse_threads};
use crate::keys::{self, KeyFile, KeyFileError, PassphraseSource, ValidatorKey};
use crate::shutdown;
use crate::telemetry::{self, LogFormat};
use crate::wiring::{Node, NodeConfig};
use clap::{Args, ValueHint};
use heddle_chain::History;
use heddle_network::Multiaddr;
use heddle_primitives::Genesis;
use serde_json::{Value, json};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Options of `heddle node`. The identifier of each is its key in the configuration file.
#[derive(Args)]
pub struct NodeArgs {
    /// TOML file with any of these options as keys.
    #[arg(id = "config", long = "config", env = "HEDDLE_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    _config: Option<PathBuf>,
    /// The genesis file.
    #[arg(id = "chain", long = "chain", env = "HEDDLE_CHAIN", value_name = "GENESIS", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    chain: PathBuf,
    /// Directory of the database and the consensus log.
    #[arg(id = "datadir", long = "datadir", env = "HEDDLE_DATADIR", value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Chain")]
    datadir: PathBuf,
    /// Memory for caches of state, code and the database, in MiB [16 to 1048576].
    #[arg(
        id = "cache",
        long = "cache",
        env = "HEDDLE_CACHE",
        value_name = "MIB",
        default_value_t,
        help_heading = "Chain"
    )]
    cache: CacheSize,
    /// How blocks are executed; every mode gives the same bytes.
    #[arg(
        id = "execution.mode",
        long = "execution",
        env = "HEDDLE_EXECUTION",
        value_enum,
        default_value_t,
        help_heading = "Chain"
    )]
    execution: ModeArg,
    /// Threads that execute a block, 1 to 1024 [default: one a core].
    #[arg(id = "execution.threads", long = "execution.threads", env = "HEDDLE_EXECUTION_THREADS", value_name = "COUNT", value_parser = parse_threads, help_heading = "Chain")]
    execution_threads: Option<NonZeroUsize>,
    /// Past states to keep: `archive` for all, `full(N)` (or `full:N`) for those of the last N blocks.
    #[arg(
        id = "history",
        long = "history",
        env = "HEDDLE_HISTORY",
        value_name = "HISTORY",
        default_value_t,
        help_heading = "Chain"
    )]
    history: History,
    #[command(flatten)]
    sync: SyncOptions,
    /// Key to validate with, mode 0600, in a directory that nobody else can change; without it the node follows the chain.
    #[arg(id = "validator-key", long = "validator-key", env = "HEDDLE_VALIDATOR_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    validator_key: Option<PathBuf>,
    /// File with the passphrase of an encrypted key, mode 0600 [default: it is asked for on the terminal].
    #[arg(id = "validator-key-passphrase-file", long = "validator-key-passphrase-file", env = "HEDDLE_VALIDATOR_KEY_PASSPHRASE_FILE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    validator_key_passphrase_file: Option<PathBuf>,
    /// What the key signed last; it goes where the key goes [default: the key file's name with `.sign-state` after it].
    #[arg(id = "sign-state", long = "sign-state", env = "HEDDLE_SIGN_STATE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    sign_state: Option<PathBuf>,
    /// Make a new sign state where there is none: only once, for a key that signs nowhere else.
    #[arg(
        id = "unsafe-init-sign-state",
        long = "unsafe-init-sign-state",
        env = "HEDDLE_UNSAFE_INIT_SIGN_STATE",
        help_heading = "Chain"
    )]
    unsafe_init_sign_state: bool,

    /// Address to listen on for peers.
    #[arg(
        id = "addr",
        long = "addr",
        env = "HEDDLE_ADDR",
        value_name = "IP",
        default_value = "0.0.0.0",
        help_heading = "Network"
    )]
    addr: IpAddr,
    /// Port for peers, TCP and UDP (QUIC); 0 lets the system choose.
    #[arg(
        id = "port",
        long = "port",
        env = "HEDDLE_PORT",
        value_name = "PORT",
        default_value_t = 30303,
        help_heading = "Network"
    )]
    port: u16,
    /// Peers to connect to first, as multiaddrs ending in /p2p/<peer id>, separated by commas.
    #[arg(
        id = "bootnodes",
        long = "bootnodes",
        env = "HEDDLE_BOOTNODES",
        value_name = "ADDR",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    bootnodes: Vec<Multiaddr>,
    /// Network key file [default: node.key in the data directory, made at first start].
    #[arg(id = "node-key", long = "node-key", env = "HEDDLE_NODE_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Network")]
    node_key: Option<PathBuf>,
    /// Most peers at a time [1 to 1000].
    #[arg(id = "maxpeers", long = "maxpeers", env = "HEDDLE_MAXPEERS", value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Network")]
    maxpeers: u32,
    /// Find peers on the local network by multicast DNS.
    #[arg(id = "mdns", long = "mdns", env = "HEDDLE_MDNS", help_heading = "Network")]
    mdns: bool,

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
    /// Origins that browsers may call from, separated by commas; `*` is all.
    #[arg(
        id = "http.corsdomain",
        long = "http.corsdomain",
        env = "HEDDLE_HTTP_CORSDOMAIN",
        value_delimiter = ',',
        value_name = "ORIGIN",
        help_heading = "JSON-RPC"
    )]
    http_cors: Vec<String>,

    /// Serve /metrics, /health and /ready on this address and port.
    #[arg(
        id = "metrics",
        long = "metrics",
        env = "HEDDLE_METRICS",
        value_name = "ADDR:PORT",
        help_heading = "Telemetry"
    )]
    metrics: Option<SocketAddr>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,heddle_network=debug`.
    #[arg(id = "log.level", long = "log.level", env = "HEDDLE_LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = telemetry::parse_filter, help_heading = "Telemetry")]
    log_level: String,
    /// Form of the log on stderr.
    #[arg(
        id = "log.format",
        long = "log.format",
        env = "HEDDLE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Telemetry"
    )]
    log_format: LogFormat,
}

impl NodeArgs {
    fn into_config(self) -> Result<NodeConfig, Box<dyn Error>> {
        let validator_key = self.validator_key.as_deref().map(|file| self.validator_key(file)).transpose()?;
        Ok(NodeConfig {
            genesis: Genesis::read(&self.chain)?,
            node_key_file: self.node_key.unwrap_or_else(|| self.datadir.join("node.key")),
            datadir: self.datadir,
            cache: self.cache,
            execution: Execution { mode: self.execution, threads: self.execution_threads },
            history: self.history,
            sync: self.sync,
            validator_key,
            listen: SocketAddr::new(self.addr, self.port),
            bootnodes: self.bootnodes,
            peers_max: self.maxpeers,
            mdns: self.mdns,
            http: self.http.then(|| SocketAddr::new(self.http_addr, self.http_port)),
            http_api: self.http_api,
            http_cors: self.http_cors,
            dev_accounts: Vec::new(),
            metrics: self.metrics,
        })
    }
}

impl NodeArgs {
    fn validator_key(&self, file: &Path) -> Result<ValidatorKey, KeyFileError> {
        let passphrase = PassphraseSource {
            file: self.validator_key_passphrase_file.as_deref(),
            option: "--validator-key-passphrase-file",
        };
        Ok(ValidatorKey {
            key: KeyFile::read(file)?.unlock(file, passphrase)?,
            sign_state: self.sign_state.clone().unwrap_or_else(|| keys::sign_state_path(file)),
            init_sign_state: self.unsafe_init_sign_state,
        })
    }
}

/// Runs `heddle node`.
pub fn run(args: NodeArgs) -> Result<Value, Box<dyn Error>> {
    telemetry::init_logging(&args.log_level, args.log_format)?;
    let config = args.into_config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let mut stop = std::pin::pin!(shutdown::requested()?);
        let mut node = tokio::select! {
            // Beginning with a file takes long; what it has staged is there for the next start.
            signal = &mut stop => return Err(format!("stopped by {signal} before it had started").into()),
            started = Node::start(config) => started.map_err(|error| super::name_port_flag(error, "--http.port"))?,
        };
        tokio::select! {
            signal = stop => tracing::info!(signal, "stopping"),
            failure = node.failed() => return Err(failure),
        }
        let head = node.stop().await;
        Ok(json!({ "number": head.header.number, "hash": head.header.seal() }))
    });
    // Blocking work that is still under way (a commit) finishes first; reads are not waited for longer than this.
    runtime.shutdown_timeout(std::time::Duration::from_secs(3));
    result
}
