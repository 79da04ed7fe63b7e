//! Variables called `HEDDLE_*` that are not what an operator meant.

use super::nearest::nearest;
use clap::Command;
use std::collections::BTreeSet;

/// What every variable of an option begins with.
const PREFIX: &str = "HEDDLE_";
/// What Kubernetes adds to a service's name for its address.
const SERVICE_HOST: &str = "_SERVICE_HOST";
/// How it is kept from doing so.
const FIX: &str = "`enableServiceLinks: false` in the pod's specification keeps them out";

/// The variables of this process that may be meant for Heddle.
pub fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    };
    std::env::vars_os().map(text).filter(|(name, _)| name.starts_with(PREFIX)).collect()
}

/// A sentence about each variable that no option of `program` reads, with the one that was probably meant; all that
/// Kubernetes sets for services share one.
pub fn warnings(program: &Command, variables: &[(String, String)]) -> Vec<String> {
    let known = known(program);
    let services = BTreeSet::from_iter(variables.iter().filter_map(|(name, _)| name.strip_suffix(SERVICE_HOST)));
    let is_link = |name: &str| {
        let rest = |service: &&str| name.strip_prefix(*service).map(str::to_owned);
        services.iter().filter_map(rest).any(|rest| rest.starts_with("_SERVICE_") || rest.starts_with("_PORT"))
    };
    let unknown =
        variables.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(*name) && !is_link(name));
    let mut warnings = Vec::from_iter(unknown.map(|name| {
        let meant = nearest(name, known.iter().map(String::as_str));
        let right = meant.map_or("no option reads it".to_owned(), |meant| format!("did you mean {meant}?"));
        format!("the environment variable {name} is ignored: {right}")
    }));
    if !services.is_empty() {
        let services = Vec::from_iter(services).join(", ");
        warnings.push(format!("Kubernetes' variables of services ({services}) are ignored: {FIX}"));
    }
    warnings
}

/// The sentence about a variable that an option reads, but that Kubernetes set for a service of that name; it is why the
/// command line cannot be parsed, where it cannot.
pub fn service_in_place_of_option(program: &Command, variables: &[(String, String)]) -> Option<String> {
    let known = known(program);
    let is_address = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let (name, value) = variables.iter().find(|(name, value)| known.contains(name) && is_address(value))?;
    Some(format!("{name}={value} is what Kubernetes sets for a service, and no value of the option: {FIX}"))
}

/// The variables of all options of all commands.
fn known(program: &Command) -> BTreeSet<String> {
    let own = program.get_arguments().filter_map(|argument| argument.get_env());
    let mut known = BTreeSet::from_iter(own.map(|name| name.to_string_lossy().into_owned()));
    program.get_subcommands().for_each(|command| known.extend(self::known(command)));
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::program;

    fn set(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_right_one() {
        let warnings = warnings(&program(), &set(&[("HEDDLE_HTPP_PORT", "1"), ("HEDDLE_HTTP_PORT", "1")]));
        assert_eq!(warnings, ["the environment variable HEDDLE_HTPP_PORT is ignored: did you mean HEDDLE_HTTP_PORT?"]);
    }

    #[test]
    fn variables_of_services_share_a_warning() {
        let links = [
            ("HEDDLE_RPC_SERVICE_HOST", "10.0.0.1"),
            ("HEDDLE_RPC_SERVICE_PORT", "8545"),
            ("HEDDLE_RPC_SERVICE_PORT_HTTP", "8545"),
            ("HEDDLE_RPC_PORT", "tcp://10.0.0.1:8545"),
            ("HEDDLE_RPC_PORT_8545_TCP_PROTO", "tcp"),
        ];
        let warnings = warnings(&program(), &set(&links));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("(HEDDLE_RPC)") && warnings[0].contains("enableServiceLinks: false"));
        assert_eq!(service_in_place_of_option(&program(), &set(&links)), None);
    }

    #[test]
    fn a_service_of_the_name_of_an_option_is_explained() {
        let explained =
            service_in_place_of_option(&program(), &set(&[("HEDDLE_PORT", "tcp://10.0.0.1:8545")])).unwrap();
        assert!(
            explained.contains("HEDDLE_PORT=tcp://10.0.0.1:8545") && explained.contains("enableServiceLinks: false")
        );
        assert_eq!(service_in_place_of_option(&program(), &set(&[("HEDDLE_PORT", "30303")])), None);
    }
}
