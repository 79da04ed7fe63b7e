//! What a shell and a manual reader make of the command line.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::{Finished, has_package, has_program, heddle, path_text, run, run_with};
use std::path::Path;
use std::process::{Command, Output};

/// What a command printed that was asked for a document, and nothing else.
fn document(finished: Finished) -> String {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    finished.stdout
}

fn bash(script: &Path, line: &str) -> Output {
    let directory = heddle().parent().unwrap().to_owned();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    Command::new("bash").args(["--norc", "-c", line, "bash", path_text(script)]).env("PATH", path).output().unwrap()
}

#[tokio::test]
async fn bash_completes_commands_options_and_values() {
    if !has_program("bash").await {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("heddle.bash");
    std::fs::write(&script, document(run(&["completions", "bash"]).await)).unwrap();
    let checked = bash(&script, "bash -n \"$1\"");
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let cases: [(&[&str], &str); 5] = [
        (&["heddle", "no"], "node"),
        (&["heddle", "snapshot", "res"], "restore"),
        (&["heddle", "node", "--http.p"], "--http.port"),
        (&["heddle", "config", "show", "--http.p"], "--http.port"),
        (&["heddle", "node", "--log.format", "j"], "json"),
    ];
    for (words, expected) in cases {
        // As readline calls it: the command, the word at the cursor, the word before it.
        let (last, count) = (words[words.len() - 1], words.len() - 1);
        let line = format!(
            "source \"$1\" && complete -p heddle >&2 && COMP_WORDS=({}) COMP_CWORD={count} && \
             _heddle heddle '{last}' '{}' && echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words[count - 1],
        );
        let completed = bash(&script, &line);
        let text = String::from_utf8_lossy(&completed.stdout).into_owned();
        assert!(text.split_whitespace().any(|word| word == expected), "{words:?}: {completed:?}");
    }
}

#[tokio::test]
async fn every_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = document(run(&["completions", shell]).await);
        assert!(script.contains("sign-state") && script.contains("http.port"), "{shell}:\n{script}");
    }
    run(&["completions", "cmd"]).await.fails_naming(&["cmd", "bash", "zsh"]);
}

#[tokio::test]
async fn manual_pages_are_sound() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man");
    let result = run(&["man", "--out", path_text(&out)]).await.result();
    let mut pages = Vec::from_iter(std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()));
    pages.sort();
    assert_eq!(result["pages"], pages.len());
    for page in ["heddle.1", "heddle-node.1", "heddle-db-check.1", "heddle-config-validate.1"] {
        assert!(pages.contains(&out.join(page)), "{page} is not among {pages:?}");
    }
    let printed = document(run(&["man"]).await);
    assert!(printed.starts_with(".ie") && printed.contains("heddle"), "{printed}");
    if !has_package("groff", "groff-base").await {
        return;
    }
    let checked = Command::new("groff").args(["-man", "-ww", "-z", "-Tutf8"]).args(&pages).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn a_configuration_is_shown_with_its_sources_and_is_one_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    std::fs::write(&file, "datadir = 'data'\nhttp.enabled = true\nhttp.api = ['eth']\n").unwrap();
    let (file, variables) = (path_text(&file), [("HEDDLE_CACHE", "64"), ("HEDDLE_HTPP_PORT", "1")]);
    let show = ["config", "show", "--config", file, "--http=false", "--port", "7"];
    let shown = run_with(&variables, &show).await;
    for line in
        ["http.enabled = false # flag", "port = 7 # flag", "cache = 64 # environment", "http.api = [\"eth\"] # file"]
    {
        let found = shown.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(found.into_iter().any(|found| found == line), "{line}: {shown:#?}");
    }
    let named = ["HEDDLE_HTPP_PORT is ignored", "HEDDLE_HTTP_PORT"];
    assert!(named.iter().all(|words| shown.stderr.contains(words)), "{shown:#?}");
    let again = directory.path().join("shown.toml");
    std::fs::write(&again, &shown.stdout).unwrap();
    let json = run(&["config", "show", "--json", "--config", path_text(&again)]).await.result();
    assert_eq!(json["cache"], serde_json::json!({ "value": 64, "from": "file" }));
    assert_eq!(json["datadir"]["value"], path_text(&directory.path().join("data")));
    assert_eq!(json["validator-key"], serde_json::json!({ "value": null, "from": "not set" }));
}

#[tokio::test]
async fn a_configuration_is_checked_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let net = directory.path().join("net");
    run(&["genesis", "create", "--validators", "1", "--out", path_text(&net)]).await.result();
    let file = net.join("node0/node.toml");
    let valid = run(&["config", "validate", path_text(&file)]).await.result();
    assert_eq!(valid["problems"], serde_json::json!([]));
    let text = std::fs::read_to_string(&file).unwrap().replace("genesis.json", "genesys.json");
    std::fs::write(&file, format!("prot = 1\n{text}")).unwrap();
    std::fs::remove_file(net.join("node0/validator.key")).unwrap();
    let invalid = run(&["config", "validate", path_text(&file)]).await;
    invalid.fails_naming(&["3 problems", "`prot`", "did you mean `port`", "genesys.json", "heddle key generate"]);
    let result: serde_json::Value = serde_json::from_str(invalid.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(result["problems"].as_array().unwrap().len(), 3, "{result:#}");
}

#[tokio::test]
async fn what_kubernetes_sets_for_a_service_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let node = ["node", "--chain", "genesis.json", "--datadir", path_text(directory.path())];
    let refused = run_with(&[("HEDDLE_PORT", "tcp://10.0.0.1:8545")], &node).await;
    refused.fails_naming(&["HEDDLE_PORT=tcp://10.0.0.1:8545", "enableServiceLinks: false"]);
}
