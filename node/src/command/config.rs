//! `heddle config`: what a node would be started with, before it is.

mod checks;
mod validate;

use super::Output;
use crate::config::{Setting, effective, environment};
use clap::{Arg, Args, Command, Subcommand};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::fmt::Write;
use validate::ValidateArgs;

/// Show the configuration of a node, or check a configuration file.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that `heddle node` would have with the same options, as TOML.
    ///
    /// It takes every option of `heddle node`, and behind each value says where it comes from: a flag, the environment, the
    /// file, or the default. The output is a configuration file itself. It holds no secrets: options name only the files that
    /// do, and a password in a URL is left out.
    Show(ShowArgs),
    /// Name all that is wrong with a configuration file, and what would be right.
    ///
    /// Keys and values, options that contradict each other, and the files that it names: the genesis file, keys and their
    /// modes, passphrases, sign states, archives. Nothing is changed, and no environment variable counts.
    Validate(ValidateArgs),
}

/// Options of `heddle config show`, besides those of `heddle node`.
#[derive(Args)]
pub struct ShowArgs {
    /// Print a JSON object instead, with the value and the source of each key.
    #[arg(long)]
    json: bool,
}

/// Gives `heddle config show` the options of `heddle node`; none is required, since none is used.
pub fn with_node_options(program: Command) -> Command {
    let node = program.find_subcommand("node").map(|node| node.get_arguments().cloned().collect());
    let options: Vec<Arg> = node.unwrap_or_default();
    let options = options.into_iter().map(|option| option.required(false));
    program.mut_subcommand("config", |config| config.mut_subcommand("show", |show| show.args(options)))
}

/// Runs `heddle config`.
pub fn run(command: ConfigCommand) -> Result<Output, Box<dyn Error>> {
    match command {
        ConfigCommand::Show(args) => show(&args),
        ConfigCommand::Validate(args) => validate::run(&args).map(Output::Result),
    }
}

fn show(args: &ShowArgs) -> Result<Output, Box<dyn Error>> {
    let program = super::program();
    let settings = effective(std::env::args_os().collect(), &program)?;
    for warning in environment::warnings(&program, &environment::variables()) {
        tell!("warning: {warning}");
    }
    Ok(match args.json {
        true => Output::Result(to_json(&settings)),
        false => Output::Document(to_toml(&settings)),
    })
}

fn to_json(settings: &[Setting]) -> Value {
    let entry = |setting: &Setting| (setting.key.clone(), json!({ "value": setting.value, "from": setting.from }));
    Value::Object(Map::from_iter(settings.iter().map(entry)))
}

/// Keys in full, since a comment behind each is easier to read than tables are.
fn to_toml(settings: &[Setting]) -> String {
    let (mut text, mut last) = (String::new(), "");
    // Writing to a string cannot fail.
    for Setting { key, heading, value, from } in settings {
        if heading != last {
            let _ = writeln!(text, "{}# {heading}", if last.is_empty() { "" } else { "\n" });
            last = heading;
        }
        let _ = match value {
            Some(value) => writeln!(text, "{:<40} # {from}", format!("{key} = {value}")),
            None => writeln!(text, "{:<40} # {from}", format!("# {key} =")),
        };
    }
    text
}
