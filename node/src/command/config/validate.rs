//! `heddle config validate`: every mistake in a configuration file at once.

use super::checks;
use crate::command::{Incomplete, program};
use crate::config::{ConfigError, ConfigFile, FILE_OPTION};
use clap::{ArgMatches, Args, Command, ValueHint};
use serde::Serialize;
use serde_json::{Value, json};
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Options of `heddle config validate`.
#[derive(Args)]
pub struct ValidateArgs {
    /// The configuration file.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// One mistake.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// The key; empty when it is the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub fix: String,
}

impl Problem {
    /// A mistake in the value of a key.
    pub fn new(key: &str, problem: impl ToString, fix: impl ToString) -> Self {
        Self { key: key.to_owned(), problem: problem.to_string(), fix: fix.to_string() }
    }
}

/// Runs `heddle config validate`.
pub fn run(args: &ValidateArgs) -> Result<Value, Box<dyn Error>> {
    let problems = problems(&args.file)?;
    let result = json!({ "file": args.file, "problems": problems });
    if problems.is_empty() {
        tell!("{} is a valid configuration", args.file.display());
        return Ok(result);
    }
    for Problem { key, problem, fix } in &problems {
        let key = if key.is_empty() { String::new() } else { format!("`{key}`: ") };
        tell!("{key}{problem}: {fix}");
    }
    let cause = format!("{} has {} problems", args.file.display(), problems.len());
    Err(Incomplete { cause: cause.into(), result }.into())
}

/// All that is wrong with a file: its keys and values first, then what they mean together and on this machine.
fn problems(file: &Path) -> Result<Vec<Problem>, Box<dyn Error>> {
    let command = command()?;
    let config = match ConfigFile::read(file) {
        Ok(config) => config,
        Err(error) => return Ok(vec![of_error(&command, error)]),
    };
    let (mut options, mut problems): (Vec<OsString>, Vec<_>) = (Vec::new(), Vec::new());
    for option in config.options(&command) {
        match option {
            Ok((_, option)) => options.push(option),
            Err(error) => problems.push(of_error(&command, error)),
        }
    }
    let spoilt = Vec::from_iter(problems.iter().map(|problem: &Problem| problem.key.clone()));
    let options: ArgMatches = command.clone().try_get_matches_from(options)?;
    let found = missing(&options).chain(checks::all(&options));
    // What a key with a bad value would have meant is not known.
    problems.extend(found.filter(|problem| !spoilt.contains(&problem.key)));
    Ok(problems)
}

/// The options of `heddle node`, as a file alone gives them.
fn command() -> Result<Command, Box<dyn Error>> {
    let program = program();
    let node = program.find_subcommand("node").ok_or("there is no command `node`")?;
    Ok(node.clone().no_binary_name(true).mut_args(|argument| argument.env(None).required(false)))
}

fn missing(options: &ArgMatches) -> impl Iterator<Item = Problem> {
    let required = [("chain", "name the genesis file"), ("datadir", "name a directory that only this node uses")];
    let is_missing = |(key, _): &(&str, &str)| options.get_raw(key).is_none();
    Vec::from_iter(required.into_iter().filter(is_missing))
        .into_iter()
        .map(|(key, fix)| Problem::new(key, "is missing", fix))
}

fn of_error(command: &Command, error: ConfigError) -> Problem {
    match error {
        ConfigError::Read { path, source } => {
            Problem::new("", format!("cannot read {}: {source}", path.display()), "name a file that this user can read")
        }
        ConfigError::Toml { reason, .. } => {
            Problem::new("", reason.trim_end(), "write `key = value`, with texts in quotation marks")
        }
        ConfigError::UnknownKey { key, right, .. } => Problem::new(&key, "no option has this key", right),
        ConfigError::BadValue { key, value, reason, .. } => {
            let option =
                command.get_arguments().find(|argument| argument.get_id() == key.as_str() && key != FILE_OPTION);
            let help = option.and_then(|option| option.get_help()).map(ToString::to_string).unwrap_or_default();
            Problem::new(&key, format!("is `{value}`, {reason}"), help)
        }
    }
}

#[cfg(test)]
mod tests;
