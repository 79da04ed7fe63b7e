//! `node.toml`, the configuration of one node: the same on every target but for where things are.

use super::description::{Group, Ports};
use super::identities::{NODE_KEY, VALIDATOR_KEY};
use std::net::IpAddr;

/// What a node's configuration says.
pub struct NodeFile<'a> {
    /// The genesis file.
    pub chain: &'a str,
    /// The data directory.
    pub datadir: &'a str,
    /// What stands before the names of the keys: a directory with a `/` at its end, or nothing.
    pub keys: &'a str,
    /// Whether there is a consensus key.
    pub is_validator: bool,
    /// What that key signed last; beside the key when absent.
    pub sign_state: Option<&'a str>,
    /// The node's own ports.
    pub ports: Ports,
    /// The validators, as this node reaches them.
    pub persistent_peers: &'a [String],
    /// Where metrics and probes are served.
    pub metrics_addr: IpAddr,
    /// Where JSON-RPC is served.
    pub http_addr: IpAddr,
    /// What the node is given.
    pub group: &'a Group,
}

impl NodeFile<'_> {
    /// The file's content.
    pub fn text(&self) -> String {
        let Self { chain, datadir, keys, ports, metrics_addr, http_addr, .. } = self;
        let mut validator = String::new();
        if self.is_validator {
            validator = format!("validator-key = \"{keys}{VALIDATOR_KEY}\"\n");
            if let Some(sign_state) = self.sign_state {
                validator += &format!("sign-state = \"{sign_state}\"\n");
            }
        }
        let persistent_peers = String::from_iter(self.persistent_peers.iter().map(|peer| format!("    \"{peer}\",\n")));
        let api = Vec::from_iter(self.group.api.iter().map(|api| format!("\"{api}\""))).join(", ");
        format!(
            "# Written by `heddle genesis create`. Every key is also an option (--http.port) and an environment variable\n\
             # (HEDDLE_HTTP_PORT). Relative paths start at this file's directory.\n\
             chain = \"{chain}\"\n\
             datadir = \"{datadir}\"\n\
             {validator}\
             node-key = \"{keys}{NODE_KEY}\"\n\
             cache = {cache}\n\
             port = {p2p}\n\
             persistent-peers = [\n{persistent_peers}]\n\
             metrics = \"{metrics_addr}:{metrics}\"\n\n\
             [http]\n\
             enabled = true\n\
             addr = \"{http_addr}\"\n\
             port = {http}\n\
             api = [{api}]\n\
             vhosts = [\"{host}\"]\n",
            cache = self.group.memory.0 / 4,
            p2p = ports.p2p,
            metrics = ports.metrics,
            http = ports.http,
            // Beyond this machine nodes are asked by their names, which only their operator knows.
            host = if http_addr.is_loopback() { "localhost" } else { "*" },
        )
    }
}
