//! Options of where JSON-RPC is served, and to whom.

use super::rpc_limit_options::RpcLimitOptions;
use crate::keys::file::{self, FileError};
use clap::{Args, ValueHint};
use heddle_rpc::{Api, AuthConfig, JwtSecret, RpcConfig};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Name of the secret in the data directory.
const JWT_SECRET: &str = "jwt.hex";
/// Several times what a secret has.
const JWT_SECRET_BYTES_MAX: usize = 256;

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
    /// Namespaces to serve, separated by commas; `all` is all but admin [default: eth,net,web3,txpool,heddle].
    ///
    /// Where the genesis has no `heddle` section, the default is `all`: there is no consensus whose time a caller could take.
    #[arg(id = "http.api", long = "http.api", env = "HEDDLE_HTTP_API", value_name = "NAMES", value_delimiter = ',', value_parser = Api::names_and_all(), help_heading = "JSON-RPC")]
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
    /// Names that requests may give in their Host header, separated by commas; `*` is all.
    ///
    /// Addresses are always accepted. A page whose name is made to resolve to this machine is not.
    #[arg(
        id = "http.vhosts",
        long = "http.vhosts",
        env = "HEDDLE_HTTP_VHOSTS",
        value_delimiter = ',',
        value_name = "HOST",
        default_value = "localhost",
        help_heading = "JSON-RPC"
    )]
    http_vhosts: Vec<String>,
    /// Serve all namespaces, admin too, over HTTP and WebSocket to whoever has the token.
    #[arg(id = "authrpc.enabled", long = "authrpc", env = "HEDDLE_AUTHRPC", help_heading = "JSON-RPC for operators")]
    authrpc: bool,
    /// Address to serve those on.
    #[arg(
        id = "authrpc.addr",
        long = "authrpc.addr",
        env = "HEDDLE_AUTHRPC_ADDR",
        value_name = "IP",
        default_value = "127.0.0.1",
        help_heading = "JSON-RPC for operators"
    )]
    authrpc_addr: IpAddr,
    /// Port to serve those on; 0 lets the system choose.
    #[arg(
        id = "authrpc.port",
        long = "authrpc.port",
        env = "HEDDLE_AUTHRPC_PORT",
        value_name = "PORT",
        default_value_t = 8551,
        help_heading = "JSON-RPC for operators"
    )]
    authrpc_port: u16,
    /// File with the secret that tokens are signed with, mode 0600 [default: jwt.hex in the data directory].
    ///
    /// 32 bytes in hex; made when it is absent. Tokens are JWTs of HS256 with `iat`, as of Ethereum's engine API.
    #[arg(id = "authrpc.jwtsecret", long = "authrpc.jwtsecret", env = "HEDDLE_AUTHRPC_JWTSECRET", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "JSON-RPC for operators")]
    authrpc_jwtsecret: Option<PathBuf>,
    /// Names that requests to it may give in their Host header, separated by commas; `*` is all.
    #[arg(
        id = "authrpc.vhosts",
        long = "authrpc.vhosts",
        env = "HEDDLE_AUTHRPC_VHOSTS",
        value_delimiter = ',',
        value_name = "HOST",
        default_value = "localhost",
        help_heading = "JSON-RPC for operators"
    )]
    authrpc_vhosts: Vec<String>,
    /// Unix socket that serves all namespaces, admin too, to this user [default: none].
    #[arg(id = "ipcpath", long = "ipcpath", env = "HEDDLE_IPCPATH", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "JSON-RPC for operators")]
    ipcpath: Option<PathBuf>,
    #[command(flatten)]
    limits: RpcLimitOptions,
}

impl RpcOptions {
    /// The open port; `None` when it is not wanted.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.then(|| SocketAddr::new(self.http_addr, self.http_port))
    }

    /// The port that wants a token; `None` when it is not wanted.
    pub fn auth_address(&self) -> Option<SocketAddr> {
        self.authrpc.then(|| SocketAddr::new(self.authrpc_addr, self.authrpc_port))
    }

    /// What the server is started with, on a node with this data directory and a chain with a `heddle` section or without one;
    /// `None` when none is wanted. Reads the secret, or makes one.
    ///
    /// # Errors
    /// When a namespace or an address is none, or there is no secret.
    pub fn config(self, datadir: &Path, is_heddle: bool) -> Result<Option<RpcConfig>, Box<dyn Error>> {
        if !self.http && !self.authrpc && self.ipcpath.is_none() {
            return Ok(None);
        }
        let named = Api::parse_names(&self.http_api)?;
        Ok(Some(RpcConfig {
            http: self.http,
            auth: self.auth(datadir)?,
            addr: self.http_addr,
            port: self.http_port,
            apis: if named.is_empty() { Api::defaults(is_heddle) } else { named },
            cors_origins: self.http_cors,
            hosts: self.http_vhosts,
            trusted_proxies: self.limits.trusted_proxies(),
            ipc: self.ipcpath,
            limits: self.limits.limits(),
        }))
    }

    fn auth(&self, datadir: &Path) -> Result<Option<AuthConfig>, Box<dyn Error>> {
        let Some(address) = self.auth_address() else { return Ok(None) };
        let path = self.authrpc_jwtsecret.clone().unwrap_or_else(|| datadir.join(JWT_SECRET));
        let secret = secret(&path).map_err(|error| format!("JWT secret {}: {error}", path.display()))?;
        Ok(Some(AuthConfig { address, hosts: self.authrpc_vhosts.clone(), secret }))
    }
}

/// The secret in this file, made when there is none.
fn secret(path: &Path) -> Result<JwtSecret, Box<dyn Error>> {
    let content = match file::read(path, JWT_SECRET_BYTES_MAX) {
        Err(error) if error.is_absence() => {
            let secret = JwtSecret::random();
            create(path, &secret)?;
            return Ok(secret);
        }
        content => content?,
    };
    Ok(JwtSecret::from_hex(std::str::from_utf8(&content)?)?)
}

fn create(path: &Path, secret: &JwtSecret) -> Result<(), FileError> {
    file::create_directory(file::directory_of(path))?;
    file::create(path, hex::encode(secret.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let datadir = tempfile::tempdir().unwrap();
        let path = datadir.path().join("new").join(JWT_SECRET);
        let made = secret(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(secret(&path).unwrap() == made);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(secret(&path).is_err(), "others can read it");
        std::fs::remove_file(&path).unwrap();
        file::create(&path, b"0x1234").unwrap();
        assert!(secret(&path).err().unwrap().to_string().contains("64"));
    }
}
