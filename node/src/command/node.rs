//! `heddle node`: a node until a signal, or until something it cannot live without fails.

use super::admin_options::AdminOptions;
use super::network_options::NetworkOptions;
use super::rpc_options::RpcOptions;
use super::sync_options::SyncOptions;
use super::telemetry_options::TelemetryOptions;
use crate::cache::CacheSize;
use crate::config::{self, environment};
use crate::execution::{Execution, ModeArg, parse_threads};
use crate::keys::{self, KeyFile, KeyFileError, PassphraseSource, ValidatorKey};
use crate::shutdown;
use crate::telemetry;
use crate::wiring::{Node, NodeConfig};
use clap::{Args, FromArgMatches, ValueHint};
use heddle_chain::History;
use heddle_network::NetworkConfig;
use heddle_primitives::Genesis;
use serde_json::{Value, json};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Options of `heddle node`. The identifier of each is its key in the configuration file.
#[derive(Args)]
pub struct NodeArgs {
    /// TOML file with any of these options as keys [default: none].
    ///
    /// The command line wins over the environment, the environment over the file. Relative paths in the file start at its
    /// directory. `heddle config validate FILE` names all that is wrong with one.
    #[arg(id = "config", long = "config", env = "HEDDLE_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    _config: Option<PathBuf>,
    /// The genesis file, in geth's JSON form.
    #[arg(id = "chain", long = "chain", env = "HEDDLE_CHAIN", value_name = "GENESIS", value_hint = ValueHint::FilePath, help_heading = "Chain")]
    chain: PathBuf,
    /// Directory of the database and the consensus log; one node's alone.
    #[arg(id = "datadir", long = "datadir", env = "HEDDLE_DATADIR", value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Data")]
    datadir: PathBuf,
    /// Memory for caches of state, code and the database, in MiB [16 to 1048576].
    #[arg(
        id = "cache",
        long = "cache",
        env = "HEDDLE_CACHE",
        value_name = "MIB",
        default_value_t,
        help_heading = "Data"
    )]
    cache: CacheSize,
    /// Past states to keep: `archive` for all, `full(N)` (or `full:N`) for those of the last N blocks.
    ///
    /// Older ones are pruned beside the commits. Blocks, receipts and transactions stay.
    #[arg(
        id = "history",
        long = "history",
        env = "HEDDLE_HISTORY",
        value_name = "HISTORY",
        default_value_t,
        help_heading = "Data"
    )]
    history: History,
    /// How blocks are executed; every mode gives the same bytes.
    #[arg(
        id = "execution.mode",
        long = "execution",
        env = "HEDDLE_EXECUTION",
        value_enum,
        default_value_t,
        help_heading = "Execution"
    )]
    execution: ModeArg,
    /// Threads that execute a block [1 to 1024; default: one a core].
    #[arg(id = "execution.threads", long = "execution.threads", env = "HEDDLE_EXECUTION_THREADS", value_name = "COUNT", value_parser = parse_threads, help_heading = "Execution")]
    execution_threads: Option<NonZeroUsize>,
    #[command(flatten)]
    sync: SyncOptions,
    /// Key to validate with [default: none: the node follows the chain].
    ///
    /// The file has mode 0600, in a directory that nobody else can change; `heddle key generate` makes one.
    #[arg(id = "validator-key", long = "validator-key", env = "HEDDLE_VALIDATOR_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Validator")]
    validator_key: Option<PathBuf>,
    /// File with the passphrase of an encrypted key, mode 0600 [default: it is asked for on the terminal].
    #[arg(id = "validator-key-passphrase-file", long = "validator-key-passphrase-file", env = "HEDDLE_VALIDATOR_KEY_PASSPHRASE_FILE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Validator")]
    validator_key_passphrase_file: Option<PathBuf>,
    /// What the key signed last [default: the key file's name with `.sign-state` after it].
    ///
    /// It goes where the key goes, and never comes from a copy: an old one forgets.
    #[arg(id = "sign-state", long = "sign-state", env = "HEDDLE_SIGN_STATE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Validator")]
    sign_state: Option<PathBuf>,
    /// Make a new sign state where there is none: only once, for a key that signs nowhere else.
    ///
    /// Left on, it would also hide the next loss.
    #[arg(
        id = "unsafe-init-sign-state",
        long = "unsafe-init-sign-state",
        env = "HEDDLE_UNSAFE_INIT_SIGN_STATE",
        help_heading = "Validator"
    )]
    unsafe_init_sign_state: bool,

    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    admin: AdminOptions,
    #[command(flatten)]
    rpc: RpcOptions,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

impl NodeArgs {
    fn into_config(self) -> Result<NodeConfig, Box<dyn Error>> {
        let traces = self.telemetry.traces()?;
        let validator_key = self.validator_key.as_deref().map(|file| self.validator_key(file)).transpose()?;
        let genesis = Genesis::read(&self.chain)?;
        let rpc = self.rpc.config(&self.datadir, genesis.heddle().is_some())?;
        Ok(NodeConfig {
            node_key_file: self.network.node_key_file(&self.datadir),
            network: self.network.config(&self.datadir)?,
            admin: self.admin.address(),
            datadir: self.datadir,
            cache: self.cache,
            execution: Execution { mode: self.execution, threads: self.execution_threads },
            history: self.history,
            sync: self.sync,
            validator_key,
            genesis,
            rpc,
            dev_accounts: Vec::new(),
            metrics: self.telemetry.metrics,
            traces,
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

/// What a node would be started with, before any secret is read: for those who only look.
pub struct Prospect {
    /// The genesis file.
    pub chain: PathBuf,
    /// Directory of the database and the consensus log.
    pub datadir: PathBuf,
    /// Memory for caches.
    pub cache: CacheSize,
    /// File of the validator's key.
    pub validator_key: Option<PathBuf>,
    /// File of its passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// File of what the key signed last.
    pub sign_state: PathBuf,
    /// Whether that file is made where there is none.
    pub init_sign_state: bool,
    /// File of the network key.
    pub node_key: PathBuf,
    /// Whom the node looks for.
    pub network: NetworkConfig,
    /// Where peers find it, over TCP and UDP.
    pub p2p: SocketAddr,
    /// Where JSON-RPC is served.
    pub http: Option<SocketAddr>,
    /// Where JSON-RPC is served to operators.
    pub authrpc: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where `heddle peers` is served.
    pub admin: Option<SocketAddr>,
}

impl NodeArgs {
    /// What the options say.
    ///
    /// # Errors
    /// When two contradict each other.
    pub fn prospect(self) -> Result<Prospect, Box<dyn Error>> {
        let sign_state = self.sign_state.or_else(|| self.validator_key.as_deref().map(keys::sign_state_path));
        Ok(Prospect {
            node_key: self.network.node_key_file(&self.datadir),
            p2p: self.network.listen_address(),
            network: self.network.config(&self.datadir)?,
            chain: self.chain,
            datadir: self.datadir,
            cache: self.cache,
            validator_key: self.validator_key,
            passphrase_file: self.validator_key_passphrase_file,
            sign_state: sign_state.unwrap_or_default(),
            init_sign_state: self.unsafe_init_sign_state,
            http: self.rpc.http_address(),
            authrpc: self.rpc.auth_address(),
            metrics: self.telemetry.metrics,
            admin: self.admin.address(),
        })
    }
}

/// Where a node with this configuration file serves JSON-RPC, as this machine reaches it.
///
/// # Errors
/// The file is no configuration of a node, or says that there is none.
pub fn rpc_url(file: &Path) -> Result<String, Box<dyn Error>> {
    let program = super::program();
    let arguments = vec!["heddle".into(), "node".into(), "--config".into(), file.into()];
    let matches = program.clone().try_get_matches_from(config::expand_arguments(arguments, &program)?)?;
    let node = matches.subcommand_matches("node").ok_or("these are no options of a node")?;
    let served = NodeArgs::from_arg_matches(node)?.rpc.http_address();
    let Some(mut address) = served.filter(|address| address.port() != 0) else {
        return Err(format!(
            "{}: a node with this configuration serves no JSON-RPC on a known port (http.enabled, http.port)",
            file.display()
        )
        .into());
    };
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("http://{address}"))
}

/// Runs `heddle node`.
pub fn run(args: NodeArgs) -> Result<Value, Box<dyn Error>> {
    telemetry::init_logging(&args.telemetry.log_level, args.telemetry.log_format)?;
    for warning in environment::warnings(&super::program(), &environment::variables()) {
        tracing::warn!("{warning}");
    }
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
