//! The configuration that a node would have, and where each value comes from.

use super::{ConfigError, FILE_OPTION, expand_arguments, is_switch, named};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::error::Error;
use std::ffi::OsString;

/// One option with its value.
#[derive(Debug)]
pub struct Setting {
    /// Its key in a configuration file.
    pub key: String,
    /// The heading that it stands under in the help.
    pub heading: String,
    /// Its value; `None` when it has none.
    pub value: Option<toml::Value>,
    /// Where the value comes from: `flag`, `environment`, `file`, `default`, or `not set`.
    pub from: &'static str,
}

/// Every option of the command that the arguments name, in the order of its help.
///
/// # Errors
/// [`ConfigError`], or what the parser refuses.
pub fn effective(arguments: Vec<OsString>, program: &Command) -> Result<Vec<Setting>, Box<dyn Error>> {
    let expanded: Result<_, ConfigError> = expand_arguments(arguments.clone(), program);
    let all = innermost(program.clone().try_get_matches_from(expanded?)?);
    let own = innermost(program.clone().try_get_matches_from(&arguments)?);
    let is_setting = |argument: &&Arg| argument.get_help_heading().is_some() && argument.get_id() != FILE_OPTION;
    let options = named(&arguments, program).0.get_arguments().filter(is_setting);
    Ok(options.map(|argument| setting(argument, &all, &own)).collect())
}

fn innermost(mut matches: ArgMatches) -> ArgMatches {
    while let Some((_, inner)) = matches.remove_subcommand() {
        matches = inner;
    }
    matches
}

/// `own` is what the user's own arguments alone give: what else is on the command line came from the file.
fn setting(argument: &Arg, all: &ArgMatches, own: &ArgMatches) -> Setting {
    let key = argument.get_id().as_str();
    let is_flag = own.value_source(key) == Some(ValueSource::CommandLine);
    let from = match all.value_source(key) {
        Some(ValueSource::CommandLine) if is_flag => "flag",
        Some(ValueSource::CommandLine) => "file",
        Some(ValueSource::EnvVariable) => "environment",
        Some(_) => "default",
        None => "not set",
    };
    let value = match argument.get_action() {
        _ if is_switch(argument) => all.get_one::<bool>(key).copied().map(toml::Value::Boolean),
        ArgAction::Append => texts(all, key).map(|texts| texts.map(toml::Value::String).collect::<Vec<_>>().into()),
        _ => texts(all, key).and_then(|mut texts| texts.next()).map(value),
    };
    let heading = argument.get_help_heading().unwrap_or_default().to_owned();
    Setting { key: key.to_owned(), heading, value, from }
}

fn texts<'a>(matches: &'a ArgMatches, key: &str) -> Option<impl Iterator<Item = String> + use<'a>> {
    Some(matches.get_raw(key)?.map(|text| text.to_string_lossy().into_owned()))
}

fn value(text: String) -> toml::Value {
    match text.parse::<i64>() {
        // A name that only looks like a number keeps its form.
        Ok(number) if number.to_string() == text => toml::Value::Integer(number),
        _ => toml::Value::String(without_password(text)),
    }
}

/// A URL may carry a password, which nobody is shown; and as one may hold a slash, nor is what stands before the last @.
fn without_password(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::program;
    use std::io::Write;

    fn shown(file: &str, flags: &[&str]) -> Vec<Setting> {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        config.write_all(file.as_bytes()).unwrap();
        let arguments = ["heddle", "config", "show", "--config", config.path().to_str().unwrap()];
        effective(arguments.iter().chain(flags).map(OsString::from).collect(), &program()).unwrap()
    }

    fn of<'a>(settings: &'a [Setting], key: &str) -> (Option<&'a toml::Value>, &'static str) {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.as_ref(), setting.from)
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let file = "port = 1\nmdns = true\n[http]\nenabled = true\napi = ['eth', 'net']\n";
        let settings = shown(file, &["--port", "2", "--http=false"]);
        assert_eq!(of(&settings, "port"), (Some(&2.into()), "flag"));
        assert_eq!(of(&settings, "http.enabled"), (Some(&false.into()), "flag"));
        assert_eq!(of(&settings, "mdns"), (Some(&true.into()), "file"));
        assert_eq!(of(&settings, "http.api"), (Some(&vec!["eth", "net"].into()), "file"));
        assert_eq!(of(&settings, "addr"), (Some(&"0.0.0.0".into()), "default"));
        assert_eq!(of(&settings, "validator-key"), (None, "not set"));
    }

    #[test]
    fn a_list_on_the_command_line_replaces_the_files() {
        let settings = shown("http.api = ['eth', 'net']\n", &["--http.api", "web3"]);
        assert_eq!(of(&settings, "http.api"), (Some(&vec!["web3"].into()), "flag"));
    }

    #[test]
    fn no_password_is_shown() {
        for (url, expected) in [
            ("http://user:secret@host:1/path", "http://***@host:1/path"),
            ("http://user:se/cr@et@host:1/path", "http://***@host:1/path"),
            ("http://host:1/path", "http://host:1/path"),
            ("plain@text", "plain@text"),
        ] {
            assert_eq!(without_password(url.to_owned()), expected);
        }
    }
}
