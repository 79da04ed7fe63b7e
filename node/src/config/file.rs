//! The configuration file.

use super::nearest::nearest;
use super::{FILE_OPTION, is_switch};
use clap::{Arg, Command, ValueHint};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. Always the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}: {source}: name another one with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {} is not valid TOML: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line and cause.
        reason: String,
    },
    /// A key that no option has.
    #[error("configuration file {}: unknown key `{key}`: {right}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What may have been meant.
        right: String,
    },
    /// A value that the option refuses.
    #[error("configuration file {}: key `{key}` = `{value}`: {reason}", path.display())]
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

/// A configuration file that could be read: keys, of whatever names, with their values.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    entries: Vec<(String, toml::Value)>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] or [`ConfigError::Toml`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Toml { path: path.into(), reason: error.to_string() })?;
        let mut entries = Vec::new();
        flatten("", &table, &mut entries);
        Ok(Self { path: path.into(), entries })
    }

    /// Each key with its option, `--key=value`, or what is wrong with it. An empty list gives none.
    pub fn options(&self, command: &Command) -> impl Iterator<Item = Result<(&str, OsString), ConfigError>> {
        let is_given = |(_, value): &&(String, toml::Value)| value.as_array().is_none_or(|items| !items.is_empty());
        self.entries.iter().filter(is_given).map(|(key, value)| {
            let option = self.option(command, key, value)?;
            Ok((key.as_str(), option.into()))
        })
    }

    fn option(&self, command: &Command, key: &str, value: &toml::Value) -> Result<String, ConfigError> {
        let path = &self.path;
        let Some(argument) = command.get_arguments().find(|a| a.get_id() == key && key != FILE_OPTION) else {
            let right = accepted(command, key);
            return Err(ConfigError::UnknownKey { path: path.into(), key: key.into(), right });
        };
        let text = resolve_path(path, argument, value_text(value));
        let bad =
            |reason: String| ConfigError::BadValue { path: path.into(), key: key.into(), value: text.clone(), reason };
        if is_switch(argument) && !value.is_bool() {
            return Err(bad("expected true or false".into()));
        }
        let option = format!("--{}={text}", argument.get_long().unwrap_or(key));
        check_value(command, &option).map_err(bad)?;
        Ok(option)
    }
}

/// All values of a table, under their full keys.
pub(super) fn flatten(prefix: &str, table: &toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, leaves),
            other => leaves.push((key, other.clone())),
        }
    }
}

/// The key that was probably meant, or all of them.
fn accepted(command: &Command, key: &str) -> String {
    let is_key = |argument: &&Arg| argument.get_help_heading().is_some() && argument.get_id() != FILE_OPTION;
    let options = Vec::from_iter(command.get_arguments().filter(is_key));
    let keys = Vec::from_iter(options.iter().map(|argument| argument.get_id().as_str()));
    let flag = options.iter().find(|argument| argument.get_long() == Some(key));
    let flag = flag.map(|argument| argument.get_id().as_str());
    match flag.or_else(|| nearest(key, keys.iter().copied())) {
        Some(meant) => format!("did you mean `{meant}`? Accepted keys: {}", keys.join(", ")),
        None => format!("accepted keys: {}", keys.join(", ")),
    }
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
