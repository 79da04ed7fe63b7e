use super::file::flatten;
use super::*;
use crate::command::program;
use std::ffi::OsString;
use std::io::Write;

/// The command line that `heddle node --config FILE` becomes when FILE holds `text`.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let arguments = ["heddle", "node", "--config"].iter().map(OsString::from).chain([file.path().into()]);
    let expanded = expand_arguments(arguments.collect(), &program()).map_err(|error| error.to_string())?;
    Ok(expanded.iter().map(|a| a.to_string_lossy().into_owned()).collect())
}

#[test]
fn keys_become_options_before_the_users_own() {
    let expanded = expand("port = 1\nmdns = true\n[http]\nenabled = true\nport = 2\napi = ['eth', 'net']\n").unwrap();
    assert_eq!(expanded[2..7], ["--http.api=eth,net", "--http=true", "--http.port=2", "--mdns=true", "--port=1"]);
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
    let api = expand("[http]\napi = ['eth', 'engine']\n").unwrap_err();
    assert!(api.contains("engine") && api.contains("web3"), "{api}");
    let syntax = expand("port = \n").unwrap_err();
    assert!(syntax.contains("not valid TOML"), "{syntax}");
}

#[test]
fn the_sample_file_is_accepted_and_complete() {
    let sample = include_str!("../../../config/node.toml");
    expand(sample).unwrap();
    let mut keys = Vec::new();
    flatten("", &sample.parse().unwrap(), &mut keys);
    let keys = std::collections::BTreeSet::from_iter(keys.into_iter().map(|(key, _)| key));
    let program = program();
    let options = program.find_subcommand("node").unwrap().get_arguments().map(|a| a.get_id().to_string());
    assert_eq!(keys, options.filter(|id| id != "config").collect());
}

#[test]
fn every_option_of_the_node_has_a_variable() {
    let program = program();
    let node = program.find_subcommand("node").unwrap();
    for argument in node.get_arguments().filter(|a| a.get_id() != "help") {
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        let long = argument.get_long().unwrap().to_uppercase().replace(['.', '-'], "_");
        assert_eq!(variable, Some(format!("HEDDLE_{long}")));
    }
}
