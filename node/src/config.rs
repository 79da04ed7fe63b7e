//! One definition of every option: the command line's. The same option is a key of the configuration file
//! (`http.port = 8545`, or `port = 8545` under `[http]`) and an environment variable (`HEDDLE_HTTP_PORT`).
//!
//! Precedence: command line, environment, file, default. The file's values enter the command line before the
//! user's own, so that one parser checks them all and the last one given wins.

use clap::{Arg, Command, ValueHint};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. Always the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not valid TOML: {reason}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line and cause.
        reason: String,
    },
    /// A key that no option has.
    #[error("configuration file {path}: unknown key `{key}`; accepted keys: {accepted}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// All keys, separated by commas.
        accepted: String,
    },
    /// A value that the option refuses.
    #[error("configuration file {path}: key `{key}` = `{value}`: {reason}")]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is accepted.
        reason: String,
    },
}

/// Lets a later occurrence of an option replace an earlier one.
pub fn command_with_overrides(command: Command) -> Command {
    command.args_override_self(true).mut_subcommands(|c| c.args_override_self(true))
}

/// Puts the options of the file named by `--config`, or by `HEDDLE_CONFIG`, before the user's own.
///
/// # Errors
/// See [`ConfigError`]; without a file nothing fails here.
pub fn expand_arguments(
    arguments: impl Iterator<Item = OsString>,
    command: Command,
) -> Result<Vec<OsString>, ConfigError> {
    let mut arguments = Vec::from_iter(arguments);
    let takes_file = |command: &&Command| command.get_arguments().any(|argument| argument.get_id() == "config");
    let subcommand = arguments.get(1).and_then(|name| command.find_subcommand(name)).filter(takes_file);
    let Some(subcommand) = subcommand else { return Ok(arguments) };
    let path = config_path(&arguments).or_else(|| std::env::var_os("HEDDLE_CONFIG").map(PathBuf::from));
    let Some(path) = path else { return Ok(arguments) };
    let options = read_options(&path, subcommand)?;
    arguments.splice(2..2, options);
    Ok(arguments)
}

fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter().skip(2);
    let from_flag = std::iter::from_fn(|| rest.next().map(|a| a.to_string_lossy().into_owned()))
        .find_map(|a| a.strip_prefix("--config=").map(PathBuf::from));
    from_flag.or_else(|| {
        let at = arguments.iter().skip(2).position(|a| a == "--config")?;
        arguments.get(at + 3).map(PathBuf::from)
    })
}

fn read_options(path: &Path, command: &Command) -> Result<Vec<OsString>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::Toml { path: path.into(), reason: error.to_string() })?;
    let mut leaves = Vec::new();
    flatten("", &table, &mut leaves);
    let mut options = Vec::new();
    for (key, value) in leaves {
        if let Some(option) = option_for(path, command, &key, &value)? {
            options.push(option);
        }
    }
    Ok(options)
}

fn flatten(prefix: &str, table: &toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, leaves),
            other => leaves.push((key, other.clone())),
        }
    }
}

/// The option `--key=value`; `None` when the environment overrides it, or a switch is off.
fn option_for(path: &Path, command: &Command, key: &str, value: &toml::Value) -> Result<Option<OsString>, ConfigError> {
    let Some(argument) = command.get_arguments().find(|a| a.get_id().as_str() == key && key != "config") else {
        let keys = command.get_arguments().map(|a| a.get_id().as_str()).filter(|id| *id != "config");
        let accepted = Vec::from_iter(keys).join(", ");
        return Err(ConfigError::UnknownKey { path: path.into(), key: key.into(), accepted });
    };
    let text = resolve_path(path, argument, value_text(value));
    let bad =
        |reason: String| ConfigError::BadValue { path: path.into(), key: key.into(), value: text.clone(), reason };
    let long = argument.get_long().unwrap_or(key);
    let is_switch = !argument.get_action().takes_values();
    let option = match (is_switch, value) {
        (true, toml::Value::Boolean(true)) => format!("--{long}"),
        (true, toml::Value::Boolean(false)) => return Ok(None),
        (true, _) => return Err(bad("expected true or false".into())),
        (false, toml::Value::Array(items)) if items.is_empty() => return Ok(None),
        (false, _) => format!("--{long}={text}"),
    };
    check_value(command, &option).map_err(bad)?;
    let overridden = argument.get_env().is_some_and(|name: &OsStr| std::env::var_os(name).is_some());
    Ok((!overridden).then(|| option.into()))
}

/// A relative path in a file starts at that file's directory, wherever the node is started.
fn resolve_path(file: &Path, argument: &Arg, text: String) -> String {
    let is_path = matches!(argument.get_value_hint(), ValueHint::FilePath | ValueHint::DirPath);
    match file.parent() {
        Some(directory) if is_path && Path::new(&text).is_relative() => directory.join(text).display().to_string(),
        _ => text,
    }
}

fn value_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => Vec::from_iter(items.iter().map(value_text)).join(","),
        other => other.to_string(),
    }
}

/// Parses the option alone, without the environment, so that the error names the file's key and no other's value.
fn check_value(command: &Command, option: &str) -> Result<(), String> {
    let alone = command.clone().no_binary_name(true).mut_args(|argument| argument.env(None));
    match alone.try_get_matches_from([option]) {
        Err(error) if matches!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument) => Ok(()),
        Err(error) => {
            // What is wrong and what is accepted; after an empty line clap explains its usage.
            let text = error.render().to_string();
            let reason = Vec::from_iter(text.lines().map(str::trim).take_while(|line| !line.is_empty())).join(" ");
            Err(reason.trim_start_matches("error: ").to_owned())
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Cli;
    use clap::CommandFactory;
    use std::io::Write;

    /// The command line that `heddle node --config FILE` becomes when FILE holds `text`.
    fn expand(text: &str) -> Result<Vec<String>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let arguments = ["heddle", "node", "--config"].iter().map(OsString::from).chain([file.path().into()]);
        let expanded = expand_arguments(arguments, Cli::command()).map_err(|error| error.to_string())?;
        Ok(expanded.iter().map(|a| a.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn keys_become_options_before_the_users_own() {
        let expanded =
            expand("port = 1\nmdns = true\n[http]\nenabled = true\nport = 2\napi = ['eth', 'net']\n").unwrap();
        assert_eq!(expanded[2..7], ["--http.api=eth,net", "--http", "--http.port=2", "--mdns", "--port=1"]);
        assert_eq!(expanded[7], "--config");
    }

    #[test]
    fn an_empty_list_gives_no_option() {
        assert_eq!(expand("bootnodes = []\n").unwrap()[2], "--config");
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let expanded = expand("datadir = 'data'\n").unwrap();
        let directory = std::env::temp_dir();
        assert_eq!(expanded[2], format!("--datadir={}", directory.join("data").display()));
    }

    #[test]
    fn errors_name_key_value_and_what_is_accepted() {
        let unknown = expand("prot = 1\n").unwrap_err();
        assert!(unknown.contains("unknown key `prot`") && unknown.contains("http.port"), "{unknown}");
        let table = expand("[http]\nprot = 1\n").unwrap_err();
        assert!(table.contains("unknown key `http.prot`"), "{table}");
        let range = expand("port = 70000\n").unwrap_err();
        assert!(range.contains("`port` = `70000`") && range.contains("0..=65535"), "{range}");
        let switch = expand("mdns = 'yes'\n").unwrap_err();
        assert!(switch.contains("`mdns` = `yes`") && switch.contains("true or false"), "{switch}");
        let api = expand("[http]\napi = ['eth', 'debug']\n").unwrap_err();
        assert!(api.contains("debug") && api.contains("web3"), "{api}");
        let syntax = expand("port = \n").unwrap_err();
        assert!(syntax.contains("not valid TOML"), "{syntax}");
    }

    #[test]
    fn the_sample_file_is_accepted_and_complete() {
        let sample = include_str!("../../config/node.toml");
        expand(sample).unwrap();
        let mut keys = Vec::new();
        flatten("", &sample.parse().unwrap(), &mut keys);
        let keys = std::collections::BTreeSet::from_iter(keys.into_iter().map(|(key, _)| key));
        let cli = Cli::command();
        let options = cli.find_subcommand("node").unwrap().get_arguments().map(|a| a.get_id().to_string());
        assert_eq!(keys, options.filter(|id| id != "config").collect());
    }

    #[test]
    fn every_option_of_the_node_has_a_variable() {
        let cli = Cli::command();
        let node = cli.find_subcommand("node").unwrap();
        for argument in node.get_arguments().filter(|a| a.get_id() != "help") {
            let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            let long = argument.get_long().unwrap().to_uppercase().replace(['.', '-'], "_");
            assert_eq!(variable, Some(format!("HEDDLE_{long}")));
        }
    }
}
