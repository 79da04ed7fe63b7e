//! `rpc.discover`: what the document says of the server is so.

use crate::node::{LOGGER, TestNode, keys, logging, user};
use crate::schema::DOCUMENT;
use alloy_primitives::B256;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

async fn serving(apis: Vec<Api>) -> TestNode {
    TestNode::start_with(RpcConfig { port: 0, apis, ..RpcConfig::default() }, None).await
}

async fn methods(node: &TestNode) -> Vec<Value> {
    let document = node.get("rpc.discover", json!([])).await;
    document["methods"].as_array().unwrap().clone()
}

fn name(method: &Value) -> &str {
    method["name"].as_str().unwrap()
}

fn names(methods: &[Value]) -> BTreeSet<String> {
    let names = BTreeSet::from_iter(methods.iter().map(|method| name(method).to_owned()));
    assert_eq!(names.len(), methods.len());
    names
}

/// The methods that are registered: calls of each are counted, from zero.
fn registered(node: &TestNode) -> BTreeSet<String> {
    let metrics = node.metrics();
    let labels = metrics.split("method=\"").skip(1).filter_map(|label| Some(label.split_once('"')?.0));
    // What is no method is counted under a word.
    let methods = labels.filter(|label| label.contains(['_', '.']));
    // This one ends what another began, and is not counted.
    methods.chain(["eth_unsubscribe"]).map(str::to_owned).collect()
}

/// What the document refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").map(|reference| reference.as_str().unwrap().to_owned()));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_served_is_described() {
    let node = serving(vec![Api::Eth]).await;
    let described = names(&methods(&node).await);
    assert_eq!(described, registered(&node));
    assert!(described.iter().all(|name| name.starts_with("eth_") || name.starts_with("rpc")));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_namespaces_are_the_books_table() {
    let node = serving(Api::all_but_admin()).await;
    let described = names(&methods(&node).await);
    assert_eq!(described, registered(&node));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/rpc.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (table, _) = page.split_once("<!-- end of methods -->").unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    assert_eq!(described, BTreeSet::from_iter(table.lines().filter_map(cell)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole() {
    let node = serving(Api::all_but_admin()).await;
    let document = node.get("rpc.discover", json!([])).await;
    assert_eq!(document["openrpc"], "1.3.2");
    assert_eq!(document["info"], json!({ "title": "Heddle JSON-RPC", "version": env!("CARGO_PKG_VERSION") }));
    // What answers are checked against is what is served.
    let mut methods = DOCUMENT.methods.clone();
    methods.as_array_mut().unwrap().iter_mut().for_each(|method| method["paramStructure"] = json!("by-position"));
    assert_eq!((&document["methods"], &document["components"]), (&methods, &json!({ "schemas": DOCUMENT.schemas })));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let schemas = DOCUMENT.schemas.as_object().unwrap().keys();
    assert_eq!(found, BTreeSet::from_iter(schemas.map(|name| format!("#/components/schemas/{name}"))));
}

/// What is recorded among the fixtures: each method that was called with its result.
fn recorded_answers() -> Vec<(String, Value)> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
    let fixtures = std::env::var_os("HEDDLE_FIXTURES").map_or_else(default, PathBuf::from);
    let Ok(directories) = std::fs::read_dir(fixtures.join("rpc-compat/tests")) else { return Vec::new() };
    let files = directories.filter_map(|directory| std::fs::read_dir(directory.unwrap().path()).ok()).flatten();
    files.flat_map(|file| answers_in(&std::fs::read_to_string(file.unwrap().path()).unwrap())).collect()
}

/// A line `>>` asks, and the line `<<` after it answers.
fn answers_in(exchange: &str) -> Vec<(String, Value)> {
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let mut method = String::new();
    let mut answers = Vec::new();
    for line in exchange.lines() {
        if let Some(request) = line.strip_prefix(">> ") {
            parse(request)["method"].as_str().unwrap().clone_into(&mut method);
        } else if let Some(result) = line.strip_prefix("<< ").and_then(|answer| parse(answer).get("result").cloned()) {
            answers.push((method.clone(), result));
        }
    }
    answers
}

#[test]
fn the_recorded_answers_are_as_described() {
    let answers = recorded_answers();
    if answers.is_empty() {
        println!("skipped: no fixtures");
        return;
    }
    for (method, answer) in &answers {
        DOCUMENT.check_answer(method, answer).unwrap_or_else(|why| panic!("{method}{why} in {answer}"));
    }
    println!("{} answers", answers.len());
}

/// Whether a type takes this value but none that lacks a property that it has, nor one with a property more, nor one of
/// which a property has another form.
fn assert_is_tight(name: &str, value: &Value) {
    DOCUMENT.check_type(name, value).unwrap();
    let mut changed = Vec::from_iter(keys(value).into_iter().map(|key| (key, json!({ "no": "such thing" }))));
    changed.push(("unknown", Value::Null));
    for (key, wrong) in changed {
        let mut value = value.clone();
        value[key] = wrong;
        DOCUMENT.check_type(name, &value).expect_err(key);
        if value.as_object_mut().unwrap().remove(key).is_some() && key != "unknown" {
            DOCUMENT.check_type(name, &value).expect_err(key);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_types_are_tight() {
    let node = serving(vec![Api::Eth, Api::Heddle]).await;
    let block = node.mine_all(&[&logging(0, 0, B256::ZERO)]).await;
    let hash = block.block.body.transactions[0].tx_hash();
    let transaction = node.get("eth_getTransactionByHash", json!([hash])).await;
    assert_is_tight("Transaction", &transaction);
    let receipt = node.get("eth_getTransactionReceipt", json!([hash])).await;
    assert_is_tight("Log", &receipt["logs"][0]);
    for (name, method, parameters) in [
        ("Capabilities", "eth_capabilities", json!([])),
        ("NodeStatus", "heddle_status", json!([])),
        ("SyncState", "heddle_syncState", json!([])),
        ("Validators", "heddle_getValidators", json!([])),
        ("Commit", "heddle_getCommit", json!(["latest"])),
        ("AccountProof", "eth_getProof", json!([LOGGER, ["0x0"], "latest"])),
    ] {
        assert_is_tight(name, &node.get(method, parameters).await);
    }
}

#[test]
fn numbers_and_bytes_have_one_form() {
    for (name, right, wrong) in [
        ("Quantity", &["0x0", "0x1f"][..], &["0x", "0x01", "1", "0xG", "0x1F"][..]),
        ("Bytes", &["0x", "0x00ff"], &["0x0", "00", "0xFF"]),
        ("BlockTag", &["safe"], &["newest"]),
        ("ZeroOrOne", &["0x1"], &["0x2", "0x01"]),
    ] {
        right.iter().for_each(|value| DOCUMENT.check_type(name, &json!(value)).unwrap());
        wrong.iter().for_each(|value| drop(DOCUMENT.check_type(name, &json!(value)).expect_err(value)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tracer_answers_as_described() {
    let node = serving(vec![Api::Eth, Api::Debug]).await;
    let call = |options: Value| json!([{ "to": LOGGER, "from": user(0).address() }, "latest", options]);
    for (name, options) in [
        ("StructLogs", json!({ "enableMemory": true, "enableReturnData": true })),
        ("CallFrame", json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } })),
        ("AccountStates", json!({ "tracer": "prestateTracer" })),
        ("AccountChanges", json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })),
        ("SelectorCounts", json!({ "tracer": "4byteTracer" })),
        ("FlatCalls", json!({ "tracer": "flatCallTracer" })),
        ("TracerResults", json!({ "tracer": "muxTracer", "tracerConfig": { "callTracer": {}, "prestateTracer": {} } })),
    ] {
        let trace = node.get("debug_traceCall", call(options)).await;
        DOCUMENT.check_type(name, &trace).unwrap_or_else(|why| panic!("{name}{why} in {trace}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_take_the_parameters_that_are_described() {
    let node = serving(Api::all_but_admin()).await;
    for method in methods(&node).await {
        let (name, parameters) = (name(&method), method["params"].as_array().unwrap());
        // Served to those only who can be notified.
        if ["eth_subscribe", "eth_unsubscribe"].contains(&name) {
            continue;
        }
        let most = parameters.len();
        let (code, message) = node.error(name, json!(vec![1; most + 1])).await;
        assert_eq!((code, message), (-32602, format!("too many arguments, want at most {most}")), "{name}");
        // The server names what is missing; a method that can do without would do its work.
        if let Some(first) = parameters.first().filter(|first| first["required"] == true) {
            let (code, message) = node.error(name, json!([])).await;
            let missing = format!("missing value for required argument 0 ({})", first["name"].as_str().unwrap());
            assert_eq!((code, message), (-32602, missing), "{name}");
        }
    }
}
