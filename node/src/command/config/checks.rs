//! What options mean together, and on this machine: contradictions, and files that are not what they must be.

use super::validate::Problem;
use crate::command::SyncMode;
use crate::command::network_options::NetworkOptions;
use crate::keys::{self, KeyFile, PassphraseSource, SignStateStore};
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use heddle_primitives::Genesis;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// All problems with these options of `heddle node`.
pub fn all(options: &ArgMatches) -> Vec<Problem> {
    let checks = [contradictions, same_ports, genesis, validator, node_key, data_directory, archive];
    checks.into_iter().flat_map(|check| check(options)).collect()
}

fn path<'a>(options: &'a ArgMatches, key: &str) -> Option<&'a Path> {
    options.get_one::<PathBuf>(key).map(PathBuf::as_path)
}

fn is_on(options: &ArgMatches, key: &str) -> bool {
    options.get_one::<bool>(key).copied().unwrap_or_default()
}

fn is_given(options: &ArgMatches, key: &str) -> bool {
    options.value_source(key) == Some(ValueSource::CommandLine)
}

fn contradictions(options: &ArgMatches) -> Vec<Problem> {
    let mut problems = Vec::new();
    let datadir = path(options, "datadir").unwrap_or(Path::new(""));
    let network = NetworkOptions::from_arg_matches(options).map_err(|error| error.to_string());
    if let Err(error) = network.and_then(|network| network.config(datadir)) {
        problems.push(Problem::new("peers.outbound", error, "lower it, or raise `maxpeers`"));
    }
    if is_on(options, "reserved-only") && !is_given(options, "persistent-peers") {
        let fix = "list the sentries under `persistent-peers`, or set it to false";
        problems.push(Problem::new("reserved-only", "is true, but there are no persistent peers to connect with", fix));
    }
    let of_key = ["validator-key-passphrase-file", "sign-state"];
    for key in of_key.into_iter().filter(|key| is_given(options, key) && !is_given(options, "validator-key")) {
        problems.push(Problem::new(
            key,
            "belongs to a validator key, but there is none",
            "set `validator-key`, or remove it",
        ));
    }
    for key in
        ["admin.addr", "admin.port"].into_iter().filter(|key| is_given(options, key) && is_on(options, "no-admin"))
    {
        problems.push(Problem::new(key, "is set, but `no-admin` is true", "remove one of the two"));
    }
    problems
}

/// Two listeners on one TCP port: the second to start would find it busy.
fn same_ports(options: &ArgMatches) -> Vec<Problem> {
    let port = |key| options.get_one::<u16>(key).copied();
    let metrics = options.get_one::<SocketAddr>("metrics").map(SocketAddr::port);
    let listeners = [
        ("port", port("port")),
        ("http.port", port("http.port").filter(|_| is_on(options, "http.enabled"))),
        ("authrpc.port", port("authrpc.port").filter(|_| is_on(options, "authrpc.enabled"))),
        ("metrics", metrics),
        ("admin.port", port("admin.port").filter(|_| !is_on(options, "no-admin"))),
    ];
    let mut taken = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, port) in listeners.into_iter().filter_map(|(key, port)| Some((key, port.filter(|port| *port != 0)?))) {
        if let Some(first) = taken.insert(port, key) {
            problems.push(Problem::new(key, format!("is port {port}, as is `{first}`"), "give each a port of its own"));
        }
    }
    problems
}

fn genesis(options: &ArgMatches) -> Vec<Problem> {
    let read = path(options, "chain").map(Genesis::read);
    let problem =
        |error| Problem::new("chain", error, "name the genesis file of the chain, the same for all of its nodes");
    read.and_then(Result::err).map(problem).into_iter().collect()
}

fn validator(options: &ArgMatches) -> Vec<Problem> {
    let Some(key_file) = path(options, "validator-key") else { return Vec::new() };
    let mut problems = Vec::new();
    if let Err(error) = KeyFile::read(key_file) {
        let fix = "`heddle key generate` makes a key, `heddle key import` brings one";
        problems.push(Problem::new("validator-key", error, fix));
    }
    if let Some(file) = path(options, "validator-key-passphrase-file") {
        let source = PassphraseSource { file: Some(file), option: "--validator-key-passphrase-file" };
        if let Err(error) = source.existing(key_file) {
            problems.push(Problem::new(
                "validator-key-passphrase-file",
                error,
                "name the file with the key's passphrase",
            ));
        }
    }
    let sign_state = path(options, "sign-state").map_or_else(|| keys::sign_state_path(key_file), Path::to_owned);
    match SignStateStore::read(&sign_state) {
        Err(error) => problems.push(Problem::new("sign-state", error, "name the one that goes with the key")),
        Ok(None) if !is_on(options, "unsafe-init-sign-state") => {
            let fix = "bring it from where the key signed last, with `heddle sign-state import`";
            problems.push(Problem::new("sign-state", format!("{} does not exist", sign_state.display()), fix));
        }
        Ok(_) => {}
    }
    problems
}

/// A network key that is not there is made at the first start.
fn node_key(options: &ArgMatches) -> Vec<Problem> {
    let file = path(options, "node-key").filter(|file| file.exists());
    let read = file.map(keys::load_or_create_node_key);
    let problem = |error| Problem::new("node-key", error, "name a network key, or a file that is not there yet");
    read.and_then(Result::err).map(problem).into_iter().collect()
}

fn data_directory(options: &ArgMatches) -> Vec<Problem> {
    let Some(directory) = path(options, "datadir").filter(|directory| directory.exists()) else { return Vec::new() };
    let problem = match keys::file::check_directory(directory) {
        _ if !directory.is_dir() => "is no directory".to_owned(),
        Err(error) => error.to_string(),
        Ok(()) => return Vec::new(),
    };
    vec![Problem::new("datadir", problem, "name a directory that this node's user owns, or one that is not there yet")]
}

fn archive(options: &ArgMatches) -> Vec<Problem> {
    const KEY: &str = "snapshot.file";
    let is_wanted = options.get_one::<SyncMode>("sync") == Some(&SyncMode::FromFile);
    let problem = match (is_wanted, path(options, KEY)) {
        (true, None) => {
            Problem::new(KEY, "is missing, but `sync` is `from-file`", "name the archive, or choose another `sync`")
        }
        (false, Some(_)) => Problem::new(KEY, "is used only when `sync` is `from-file`", "set that, or remove it"),
        (true, Some(file)) => match std::fs::File::open(file) {
            Err(error) => {
                let problem = format!("cannot read {}: {error}", file.display());
                Problem::new(KEY, problem, "`heddle snapshot create` writes such a file")
            }
            Ok(_) => return Vec::new(),
        },
        (false, None) => return Vec::new(),
    };
    vec![problem]
}
