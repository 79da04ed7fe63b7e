//! Whether the book is true: every command in it runs, every link leads somewhere, every list is complete.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::docs::{Page, Shell, pages, repository};
use heddle_e2e::netns::Namespace;
use heddle_e2e::{Devnet, run_with, turn};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn page(name: &str) -> Page {
    Page::read(&repository().join("docs/src").join(name))
}

#[tokio::test]
async fn every_command_in_the_book_runs() {
    let _turn = turn().await;
    if !Namespace::are_possible().await {
        return;
    }
    for page in pages() {
        println!("{}", page.name);
        Shell::new().run(&page).await;
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let anchors = BTreeMap::from_iter(pages.iter().map(|page| (page.name.as_str(), page.anchors())));
    let source = repository().join("docs/src");
    let mut broken = Vec::new();
    for page in &pages {
        for link in page.links().into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { page.name.as_str() } else { file };
            let has_anchor = || anchors.get(file).is_some_and(|known| known.iter().any(|known| known == anchor));
            if !source.join(file).exists() || (!anchor.is_empty() && !has_anchor()) {
                broken.push(format!("{} -> {link}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_table_of_contents_has_every_page_once() {
    let summary = page("SUMMARY.md");
    let listed = summary.links();
    let names = Vec::from_iter(pages().into_iter().map(|page| page.name).filter(|name| name != "SUMMARY.md"));
    assert_eq!(BTreeSet::from_iter(&listed).len(), listed.len(), "{listed:?}");
    assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(names.iter().map(String::as_str)));
}

/// The first column of a page's tables, where it is code, in alphabetical order.
fn first_column(page: &Page) -> Vec<String> {
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let mut cells = Vec::from_iter(page.text.lines().filter_map(cell));
    cells.sort_unstable();
    cells
}

/// Of all methods; a devnet serves the first five.
const NAMESPACES: [&str; 12] =
    ["eth", "net", "web3", "txpool", "heddle", "debug", "trace", "ots", "erigon", "admin", "testing", "rpc"];

/// The names of methods in quotation marks, in all sources below a directory.
fn registered(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            registered(&entry, names);
            continue;
        }
        // The table is made of the data beside them, which must not be its own witness; what tests register is not served.
        if entry.extension().is_none_or(|extension| extension != "rs") || entry.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&entry).unwrap();
        let quoted = text.split('"').skip(1).step_by(2);
        let is_method = |name: &&str| {
            let in_rpc = || Some(("rpc", name.strip_prefix("rpc.")?));
            let Some((namespace, rest)) = name.split_once('_').or_else(in_rpc) else { return false };
            // What a subscription sends has a name as if it were a method.
            NAMESPACES.contains(&namespace)
                && rest != "subscription"
                && !rest.is_empty()
                && rest.chars().all(|letter| letter.is_ascii_alphanumeric())
        };
        names.extend(quoted.filter(is_method).map(str::to_owned));
    }
}

#[tokio::test]
async fn the_table_of_methods_is_the_servers() {
    let _turn = turn().await;
    let documented = first_column(&page("rpc.md"));
    let mut sources = BTreeSet::new();
    for directory in ["crates/rpc/src", "node/src/admin"] {
        registered(&repository().join(directory), &mut sources);
    }
    // A list, so that no method has two rows.
    assert_eq!(documented, Vec::from_iter(sources), "docs/src/rpc.md and the methods in the sources");
    let devnet = Devnet::start(&["--validators", "1"]).await;
    let is_served = |name: &&String| name.split_once('_').is_some_and(|(name, _)| NAMESPACES[..5].contains(&name));
    // These exist over WebSocket only, and the server says so.
    let is_subscription = |name: &&String| ["eth_subscribe", "eth_unsubscribe"].contains(&name.as_str());
    for method in documented.iter().filter(is_served).filter(|name| !is_subscription(name)) {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] }).to_string();
        let (_, body) = devnet.rpc.send(hyper::Method::POST, request).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_ne!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
}

/// Every command below `name` with its first sentence, as the help lists them.
async fn commands(name: Vec<String>) -> Vec<(String, String)> {
    let words = Vec::from_iter(name.iter().map(String::as_str));
    // So wide that nothing is wrapped.
    let help = run_with(&[("COLUMNS", "1000")], &[&words[..], &["-h"]].concat()).await.stdout;
    let is_name =
        |word: &str| word != "help" && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    let entries = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
    let entries =
        entries.filter(|(command, _)| command.starts_with(|first: char| first.is_alphabetic()) && is_name(command));
    let mut all = Vec::new();
    for (command, about) in entries.map(|(command, about)| (command.to_owned(), about.trim().to_owned())) {
        let full = [&name[..], &[command]].concat();
        all.push((full.join(" "), about));
        all.extend(Box::pin(commands(full)).await);
    }
    all
}

#[tokio::test]
async fn the_list_of_commands_is_the_binarys() {
    let rows = commands(Vec::new()).await.into_iter().map(|(name, about)| format!("| `heddle {name}` | {about} |"));
    let rows = Vec::from_iter(rows);
    let page = page("command-line.md");
    let listed = Vec::from_iter(page.text.lines().filter(|line| line.starts_with("| `heddle ")));
    assert_eq!(listed, rows, "docs/src/command-line.md should have these rows:\n{}", rows.join("\n"));
}

#[test]
fn the_book_is_built_from_its_pages() {
    let book: toml::Table = std::fs::read_to_string(repository().join("docs/book.toml")).unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("src"));
    let picture: PathBuf = repository().join("docs/src/architecture.svg");
    assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg"));
}
