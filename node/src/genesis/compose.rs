//! The target `compose`: a file for `docker compose`, also for docker-compose 1.29, and what its containers mount.
//!
//! A node's directory of keys is mounted as it is, so that the sign state goes where the key goes, whatever becomes of
//! data volumes and targets.

use super::container::{self, CONFIG, Paths, USER};
use super::files::write_public;
use super::monitoring;
use super::network::{Network, Node, Role};
use std::fmt::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What is mounted in a container.
const PATHS: Paths = Paths { datadir: "/data", keys: "/keys", sign_state: None };

/// Writes the file, a configuration a node, and gives the keys to the containers' user; returns the file.
///
/// # Errors
/// When the ports do not suffice, or a file cannot be written.
pub fn write(network: &Network) -> Result<PathBuf, String> {
    let nodes = network.nodes()?;
    let full_name = |node: &Node<'_>| network.full_name(node);
    for node in &nodes {
        let file = network.out.join("compose").join(&node.identity.name).join("node.toml");
        write_public(&file, &container::node_file(network, node, &PATHS, full_name)?)?;
        give_keys(&network.keys_dir(node))?;
    }
    monitoring::write(network, &nodes)?;
    let file = network.out.join("compose.yaml");
    write_public(&file, &text(network, &nodes)?)?;
    Ok(file)
}

/// Gives a directory and each file in it to the containers' user, which only root can; tells others how.
fn give_keys(directory: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot give {} to user {USER}: {error}", directory.display());
    let mut paths = vec![directory.to_owned()];
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    let mut others = Vec::new();
    for path in paths {
        if std::fs::metadata(&path).map_err(failed)?.uid() != USER {
            others.push(path);
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        tell!("containers run as user {USER}: run `sudo chown -R {USER}:{USER} {}`", directory.display());
        return Ok(());
    }
    others.iter().try_for_each(|path| chown(path, Some(USER), Some(USER))).map_err(failed)
}

fn text(network: &Network, nodes: &[Node<'_>]) -> Result<String, String> {
    let mut text = head(network);
    for node in nodes {
        text += &service(network, node)?;
    }
    let (services, their_volumes) = monitoring::services(network);
    text += &services;
    text += &volumes(network, nodes, &their_volumes);
    Ok(text)
}

/// What all services have in common.
fn head(network: &Network) -> String {
    let (image, metrics) = (&network.description.image, network.description.ports.metrics);
    format!(
        r#"# Written by `heddle genesis create --target compose`. Relative paths start at the directory with genesis.json and keys/:
# a copy of this file elsewhere is started with --project-directory.

x-hardened: &hardened
  restart: unless-stopped
  read_only: true
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  tmpfs: ["/tmp:size=64m,mode=1777"]
  logging:
    driver: json-file
    options: {{max-size: 50m, max-file: "5"}}

x-node: &node
  <<: *hardened
  image: "{image}"
  command: [node, --config, {CONFIG}]
  user: "{USER}:{USER}"
  # A node ends within this after SIGTERM.
  stop_grace_period: 30s
  healthcheck:
    test: [CMD, heddle, health, --url, "http://127.0.0.1:{metrics}"]
    interval: 10s
    timeout: 6s
    retries: 3
    start_period: 60s

services:
"#
    )
}

fn service(network: &Network, node: &Node<'_>) -> Result<String, String> {
    let name = &node.identity.name;
    let full_name = network.full_name(node);
    let (cpu, memory) = (node.group.cpu, node.group.memory.docker());
    let Paths { datadir, keys, .. } = PATHS;
    let mut text = format!(
        r"  {name}:
    <<: *node
    container_name: {full_name}
    cpus: {cpu}
    mem_limit: {memory}
    volumes:
      - ./genesis.json:/config/genesis.json:ro
      - ./compose/{name}/node.toml:{CONFIG}:ro
      - ./keys/{name}:{keys}
      - {name}:{datadir}
"
    );
    if node.role == Role::Rpc {
        let port = network.description.ports.http;
        let published = port.checked_add(node.number).ok_or("the ports of the last RPC nodes exceed 65535")?;
        text += &format!("    ports: [\"127.0.0.1:{published}:{port}\"]\n");
    }
    if node.role != Role::Validator {
        let validators = (0..network.description.validators.count).map(|number| format!("validator-{number}"));
        text += &format!("    depends_on: [{}]\n", Vec::from_iter(validators).join(", "));
    }
    Ok(text + "\n")
}

fn volumes(network: &Network, nodes: &[Node<'_>], others: &[&str]) -> String {
    let prefix = &network.description.name;
    let mut text = format!("networks:\n  default:\n    name: {prefix}\n\nvolumes:\n");
    for node in nodes {
        let _ = writeln!(text, "  {}:\n    name: {}", node.identity.name, network.full_name(node));
    }
    for volume in others {
        let _ = writeln!(text, "  {volume}:\n    name: {prefix}-{volume}");
    }
    text
}
