//! `rpc.discover`: what the document says of the server is so.

use crate::node::TestNode;
use heddle_rpc::{Api, RpcConfig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

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
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").map(|reference| reference.as_str().unwrap()));
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
    let node = serving(vec![Api::Net]).await;
    let document = node.get("rpc.discover", json!([])).await;
    assert_eq!(document["openrpc"], "1.3.2");
    assert_eq!(document["info"], json!({ "title": "Heddle JSON-RPC", "version": env!("CARGO_PKG_VERSION") }));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Quantity"));
    for reference in found {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(target.is_some(), "{reference}");
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
