//! The metrics, the rules and the dashboard, as Prometheus sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::{Address, U256};
use heddle_e2e::{
    DEADLINE, Network, Prometheus, Rpc, account, eventually, free_port, has_package, path_text, run, transfer, turn,
    within,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use toml::Table;

/// The alerts that an operator gets: as many as one can tell apart.
const ALERTS: usize = 8;
/// More panels than this nobody looks at.
const PANELS_MAX: usize = 40;

fn config(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(path).canonicalize().unwrap()
}

/// Runs `promtool` with this input, which it must find nothing wrong with.
async fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "promtool {arguments:?}: {said}");
}

/// The alerts of the rules.
fn alerts() -> Vec<Value> {
    let rules: Value =
        yaml_serde::from_str(&std::fs::read_to_string(config("prometheus/rules.yaml")).unwrap()).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The panels of the dashboard, without the titles of its rows.
fn panels() -> Vec<Value> {
    let dashboard = std::fs::read(config("grafana/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_slice(&dashboard).unwrap();
    assert_eq!(dashboard["uid"], "heddle");
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// What a panel asks, for all nodes.
fn panel_queries(panel: &Value) -> Vec<String> {
    let queries = panel["targets"].as_array().unwrap().iter().map(|target| text(target, "expr"));
    queries.map(|query| query.replace("$instance", ".*").replace("$__rate_interval", "15s")).collect()
}

/// What an alert compares, whether it fires or not: 0 or 1 for every series that each of its operands looks at now.
fn alert_queries(alert: &Value) -> Vec<String> {
    let mut operands = vec![text(alert, "expr")];
    for operator in [" or ", " unless ", " and on () ", " and "] {
        operands = operands.into_iter().flat_map(|operand| operand.split(operator)).collect();
    }
    let now = operands.into_iter().map(|operand| operand.split(" offset ").next().unwrap().to_owned());
    let comparisons = [" == ", " < ", " > "];
    let always =
        |operand| comparisons.iter().fold(operand, |all: String, sign| all.replace(sign, &format!("{sign}bool ")));
    now.map(always).collect()
}

/// Something of everything that is counted: transfers, calls that succeed, and calls that fail.
async fn load(rpc: &Rpc, nonce: u64) {
    let sent = transfer(&account(0), nonce, Address::repeat_byte(7), U256::from(1));
    rpc.call("eth_sendRawTransaction", json!([sent.raw])).await;
    rpc.height().await;
    rpc.balance(account(0).address()).await;
    assert!(rpc.try_call("eth_getBalance", json!(["nobody"])).await.is_err());
    assert!(rpc.try_call("eth_makeMeRich", json!([])).await.is_err());
    eventually("the transfer in a block", async || rpc.receipt(sent.hash).await).await;
}

/// The page on monitoring has a row for every metric.
fn check_documented(served: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/monitoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = served.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing = Vec::from_iter(names.filter(|name| !page.contains(&format!("\n| `{name}` |"))));
    assert!(missing.is_empty(), "docs/src/monitoring.md does not name {missing:#?}");
}

fn metrics_port(network: &Network, node: usize) -> u16 {
    let address = network.configuration(node)["metrics"].as_str().unwrap().to_owned();
    address.rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_alert_and_panel_explains_itself() {
    let alerts = alerts();
    assert_eq!(alerts.len(), ALERTS);
    for alert in &alerts {
        let name = text(alert, "alert");
        text(alert, "for");
        assert!(["warning", "critical"].contains(&text(&alert["labels"], "severity")), "{name}");
        for annotation in ["summary", "description", "runbook"] {
            text(&alert["annotations"], annotation);
        }
        let anchor = format!("docs/src/troubleshooting.md#{}", name.to_lowercase());
        assert_eq!(text(&alert["annotations"], "runbook_url"), anchor);
    }
    let panels = panels();
    assert!((1..=PANELS_MAX).contains(&panels.len()), "{} panels", panels.len());
    for panel in &panels {
        for key in ["title", "description"] {
            text(panel, key);
        }
        text(&panel["fieldConfig"]["defaults"], "unit");
        for target in panel["targets"].as_array().unwrap() {
            text(target, "legendFormat");
        }
    }
}

#[tokio::test]
async fn the_rules_are_rules_and_each_fires() {
    if !has_package("promtool", "prometheus").await {
        return;
    }
    promtool(&["check", "rules", path_text(&config("prometheus/rules.yaml"))], "").await;
    promtool(&["check", "config", path_text(&config("prometheus/prometheus.yaml"))], "").await;
    promtool(&["test", "rules", path_text(&config("prometheus/rules.test.yaml"))], "").await;
}

#[tokio::test]
async fn prometheus_reads_what_the_compose_target_writes() {
    if !has_package("promtool", "prometheus").await {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("net");
    let description = config("networks/compose.toml");
    let create = ["genesis", "create", "--network", path_text(&description), "--out", path_text(&out)];
    run(&[&create[..], &["--target", "compose"]].concat()).await.result();
    let written = out.join("prometheus/prometheus.yaml");
    // With the rules beside it.
    promtool(&["check", "config", path_text(&written)], "").await;
    let kept = std::fs::read_to_string(config("prometheus/prometheus.yaml")).unwrap();
    assert_eq!(std::fs::read_to_string(written).unwrap(), kept, "the repository's network has these nodes");
}

#[tokio::test]
async fn every_panel_and_every_alert_has_data() {
    let _turn = turn().await;
    if !has_package("prometheus", "prometheus").await {
        return;
    }
    let mut network = Network::create(2).await;
    // Where no collector is: its metrics are there all the same.
    let collector = format!("http://127.0.0.1:{}", free_port());
    let tracing = Table::from_iter([("url".to_owned(), collector.into())]);
    network.configure(0, |toml| _ = toml.insert("tracing-otlp".to_owned(), tracing.into()));
    network.start_all().await;
    let ports = [0, 1].map(|node| metrics_port(&network, node));
    let prometheus = Prometheus::start(&ports, &config("prometheus/rules.yaml")).await;
    let rpc = network.rpc(0);
    let alerts = alerts();
    let mut silent =
        Vec::from_iter(panels().iter().flat_map(panel_queries).chain(alerts.iter().flat_map(alert_queries)));
    let mut nonce = 0;
    let all_speak = within(DEADLINE, async || {
        load(&rpc, nonce).await;
        nonce += 1;
        let mut still_silent = Vec::new();
        for query in std::mem::take(&mut silent) {
            let values = prometheus.query(&query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
            if !values.iter().any(|value| value.is_finite()) {
                still_silent.push(query);
            }
        }
        silent = still_silent;
        silent.is_empty().then_some(())
    })
    .await;
    assert!(all_speak.is_some(), "no data for {silent:#?}");

    eventually("all rules to be evaluated", async || {
        let rules = prometheus.get("/api/v1/rules?type=alert").await;
        let rules = rules["data"]["groups"][0]["rules"].as_array().cloned()?;
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
        rules.iter().all(|rule| rule["health"] == "ok").then(|| assert_eq!(rules.len(), ALERTS))
    })
    .await;
    // An error, a rejection, and a name that no method has: by code, and by names that we chose.
    let failed = "sum(heddle_rpc_requests_total{method=~\"eth_getBalance|unknown\",code=~\"-32602|-32601\"})";
    assert!(prometheus.query(failed).await.unwrap().iter().any(|count| *count >= 2.0));
    for port in ports {
        let served = Rpc::new(port).get("/metrics").await.unwrap();
        promtool(&["check", "metrics"], &served).await;
        check_documented(&served);
    }
}
