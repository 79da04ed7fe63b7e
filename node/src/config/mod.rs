//! One definition of every option: the command line's. The same option is a key of the configuration file
//! (`http.port = 8545`, or `port = 8545` under `[http]`) and an environment variable (`HEDDLE_HTTP_PORT`).
//!
//! Precedence: command line, environment, file, default. The file's values enter the command line before the
//! user's own, so that one parser checks them all and the last one given wins.

mod effective;
pub mod environment;
mod file;
mod nearest;

pub use effective::{Setting, effective};
pub use file::{ConfigError, ConfigFile};

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::path::PathBuf;

/// The option that names a configuration file: the commands that have it take their options from one.
pub const FILE_OPTION: &str = "config";

/// Gives the options the rules of precedence: a later one replaces an earlier one, and what a file switches on the
/// command line can switch off (`--http=false`).
pub fn with_precedence(command: Command) -> Command {
    let command = command.args_override_self(true).mut_subcommands(with_precedence);
    match takes_file(&command) {
        true => command.mut_args(|argument| match argument.get_action() {
            ArgAction::SetTrue => switch(argument),
            _ => argument,
        }),
        false => command,
    }
}

fn switch(argument: Arg) -> Arg {
    argument
        .action(ArgAction::Set)
        .value_parser(BoolishValueParser::new())
        .value_name("BOOL")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_possible_values(true)
}

/// Whether an option is on or off.
fn is_switch(argument: &Arg) -> bool {
    argument.get_value_names().is_some_and(|names| names == ["BOOL"])
}

fn takes_file(command: &Command) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == FILE_OPTION)
}

/// The command that the arguments name, and where its own options begin.
fn named<'a>(arguments: &[OsString], program: &'a Command) -> (&'a Command, usize) {
    let (mut command, mut at) = (program, 1);
    while let Some(inner) = arguments.get(at).and_then(|name| command.find_subcommand(name)) {
        (command, at) = (inner, at + 1);
    }
    (command, at)
}

/// Puts the options of the file named by `--config`, or by `HEDDLE_CONFIG`, before the user's own.
///
/// # Errors
/// See [`ConfigError`]; without a file nothing fails here.
pub fn expand_arguments(mut arguments: Vec<OsString>, program: &Command) -> Result<Vec<OsString>, ConfigError> {
    let (command, at) = named(&arguments, program);
    if !takes_file(command) {
        return Ok(arguments);
    }
    let own = arguments.get(at..).unwrap_or_default();
    let Some(path) = named_file(own).or_else(|| std::env::var_os("HEDDLE_CONFIG").map(PathBuf::from)) else {
        return Ok(arguments);
    };
    let file = ConfigFile::read(&path)?;
    let options = file.options(command).collect::<Result<Vec<_>, _>>()?;
    let options = options.into_iter().filter(|(key, _)| !is_overridden(command, key, own)).map(|(_, option)| option);
    let options = Vec::from_iter(options);
    arguments.splice(at..at, options);
    Ok(arguments)
}

/// The command line and the environment come before the file, also where an option is a list, which would grow.
fn is_overridden(command: &Command, key: &str, own: &[OsString]) -> bool {
    let argument = command.get_arguments().find(|argument| argument.get_id() == key);
    let by_environment = argument.and_then(Arg::get_env).is_some_and(|name| std::env::var_os(name).is_some());
    let flag = argument.and_then(Arg::get_long).map(|long| format!("--{long}")).unwrap_or_default();
    let is_flag = |given: &OsString| given.to_string_lossy().split('=').next() == Some(&flag);
    by_environment || own.iter().any(is_flag)
}

/// The last `--config FILE` or `--config=FILE`, as the parser decides, too.
fn named_file(arguments: &[OsString]) -> Option<PathBuf> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    arguments.iter().enumerate().rev().find_map(|(at, argument)| match text(argument).strip_prefix("--config")? {
        "" => arguments.get(at + 1).map(PathBuf::from),
        rest => rest.strip_prefix('=').map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests;
