//! An operator looks at a network: `heddle status`, `heddle why stalled`, `heddle doctor`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::{Finished, Network, Signal, eventually, path_text, quantity, run, turn};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The JSON object of a command, whether or not it found a problem.
fn object(finished: &Finished) -> Value {
    let last = finished.stdout.lines().last().unwrap_or_else(|| panic!("{finished:#?}"));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {finished:#?}"))
}

/// The findings of one check that are as bad as `level`.
fn findings<'a>(object: &'a Value, check: &str, level: &str) -> Vec<&'a str> {
    let all = object["findings"].as_array().unwrap().iter();
    let wanted = all.filter(|finding| finding["check"] == check && finding["level"] == level);
    wanted.map(|finding| finding["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_table_shows_every_node_and_one_that_is_down_hides_no_other() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;
    network.kill9(3).await;
    let urls = Vec::from_iter((0..4).map(|node| network.rpc(node).url()));
    let names = Vec::from_iter(urls.iter().map(String::as_str));

    let shown = run(&[&["status"], &names[..]].concat()).await;
    let result = shown.result();
    let nodes = result["nodes"].as_array().unwrap();
    for (node, url) in names.iter().enumerate().take(3) {
        let status = &nodes[node]["status"];
        assert_eq!(nodes[node]["url"], *url);
        assert!(quantity(&status["head"]["number"]) >= 3, "{status}");
        // What is shown of consensus is a moment older than the head.
        assert!(quantity(&status["consensus"]["height"]) >= quantity(&status["head"]["number"]), "{status}");
        assert!(quantity(&status["peers"]["inbound"]) + quantity(&status["peers"]["outbound"]) >= 2, "{status}");
        assert!(status["validator"].is_string() && quantity(&status["freeBytes"]) > 0, "{status}");
        assert_eq!((&status["sync"], &status["blockTime"]), (&Value::Null, &json!("0x1f4")));
    }
    assert!(nodes[3]["error"].as_str().unwrap().contains("nobody listens"), "{result}");
    assert!(shown.stderr.lines().next().unwrap().contains("HEIGHT"), "{}", shown.stderr);
    assert!(names.iter().all(|name| shown.stderr.contains(name)) && !shown.stderr.contains('\x1b'), "{}", shown.stderr);
    assert_eq!(findings(&result, "fork", "problem"), [""; 0]);

    let quiet = run(&["status", "--json", path_text(&network.config_file(0)), path_text(network.node_dir(1))]).await;
    assert_eq!((quiet.result()["nodes"][0]["url"].as_str(), quiet.stderr.as_str()), (Some(names[0]), ""));
    assert_eq!(quiet.result()["nodes"][1]["url"], names[1]);
    run(&["status", names[3]]).await.fails_naming(&["nobody listens", "--http", "no node answers"]);
    run(&["status", "nowhere"]).await.fails_naming(&["nowhere", "node.toml"]);

    let healthy = run(&["why", "stalled", names[0]]).await;
    assert_eq!(healthy.result()["stalled"], false);
    assert!(healthy.stderr.contains("not stalled"), "{}", healthy.stderr);
}

#[tokio::test]
async fn a_stalled_chain_names_exactly_the_validators_that_are_silent() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;
    // One is killed, one stands still with its connections open.
    network.kill9(2).await;
    network.process(3).signal(Signal::Stop).await;
    let urls = [network.rpc(0).url(), network.rpc(1).url()];
    let why = async |urls: &[String]| {
        let names = Vec::from_iter(urls.iter().map(String::as_str));
        run(&[&["why", "stalled"], &names[..]].concat()).await
    };
    let asked = eventually("two silent validators", async || {
        let asked = why(&urls[..1]).await;
        (asked.result()["missing"].as_array()?.len() == 2).then_some(asked)
    })
    .await;
    let mut silent = vec![network.validator(2).await.1, network.validator(3).await.1];
    silent.sort();
    let both = why(&urls).await;
    for asked in [&asked, &both] {
        let result = asked.result();
        let missing = result["missing"].as_array().unwrap();
        let named = Vec::from_iter(missing.iter().map(|missing| missing["address"].as_str().unwrap().to_owned()));
        assert_eq!(named, silent, "{}", asked.stderr);
        assert_eq!(result["power"], json!({ "present": 2, "needed": 3, "total": 4 }), "{}", asked.stderr);
        let height = network.rpc(0).height().await + 1;
        assert_eq!((&result["stalled"], &result["height"]), (&json!(true), &json!(height)));
        let words = [format!("height {height}, round"), "since ".to_owned(), "3 is needed".to_owned()];
        assert!(words.iter().chain(&silent).all(|words| asked.stderr.contains(words)), "{}", asked.stderr);
        let living = [network.validator(0).await.1, network.validator(1).await.1];
        assert!(living.iter().all(|address| !asked.stderr.contains(address)), "{}", asked.stderr);
    }
    let state = network.rpc(0).call("heddle_consensusState", json!([])).await;
    let own = state["validators"].as_array().unwrap().iter().find(|validator| validator["isOwn"] == true).unwrap();
    assert!(own["prevote"].is_string(), "{state}");

    network.process(3).signal(Signal::Continue).await;
    network.wait_blocks(0, 3).await;
    let again = eventually("a chain that goes on", async || {
        let again = why(&urls).await;
        (again.result()["stalled"] == false).then_some(again)
    })
    .await;
    assert_eq!(again.result()["missing"], json!([]));
}

/// `heddle doctor` on a node's configuration.
async fn doctor(network: &Network, node: usize, options: &[&str]) -> Finished {
    run(&[&["doctor", "--config", path_text(&network.config_file(node))], options].concat()).await
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_good_node_has_no_problem_running_or_not() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;
    let peers = network.rpc(1).url();
    let running = doctor(&network, 0, &["--peers-rpc", &peers]).await;
    let result = running.result();
    assert_eq!(result["problems"], 0, "{}", running.stderr);
    assert_eq!(findings(&result, "ports", "ok").len(), 4, "{}", running.stderr);
    assert!(findings(&result, "forks", "ok")[0].contains("same forks"), "{}", running.stderr);
    assert!(findings(&result, "clock", "ok")[0].contains("agrees"), "{}", running.stderr);
    assert!(findings(&result, "peers", "ok")[0].contains("3 peers answered"), "{}", running.stderr);
    assert!(running.stderr.contains("node: runs (pid"), "{}", running.stderr);

    network.stop(0).await;
    let stopped = doctor(&network, 0, &[]).await;
    let result = stopped.result();
    assert!(stopped.stderr.contains("does not run"), "{}", stopped.stderr);
    assert_eq!(findings(&result, "ports", "ok").len(), 5, "{}", stopped.stderr);
    assert!(findings(&result, "database", "ok")[0].contains("up to block"), "{}", stopped.stderr);
    network.start(0).await;
}

#[tokio::test]
async fn planted_problems_are_found_and_named_with_their_fix() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 2).await;
    for node in 0..3 {
        network.stop(node).await;
    }
    let key = network.node_dir(0).join("validator.key");
    let found = async |network: &Network, node: usize, check: &str, words: &[&str]| {
        let examined = doctor(network, node, &[]).await;
        assert_eq!(examined.code, Some(1), "{examined:#?}");
        let result = object(&examined);
        let texts = findings(&result, check, "problem").join("\n");
        assert!(words.iter().all(|word| texts.contains(word)), "{check} {words:?}: {}", examined.stderr);
    };

    set_mode(&key, 0o644);
    found(&network, 0, "modes", &[path_text(&key), "chmod 600"]).await;
    set_mode(&key, 0o600);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, free) = (taken.local_addr().unwrap().port(), network.configuration(0)["http"]["port"].clone());
    network.configure(0, |toml| toml["http"]["port"] = i64::from(port).into());
    found(&network, 0, "ports", &["JSON-RPC", &port.to_string(), "is taken"]).await;
    network.configure(0, |toml| toml["http"]["port"] = free);

    let peers = network.configuration(0)["persistent-peers"].clone();
    let id = peers[0].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let nobody = format!("/dns4/no-such-host.invalid/tcp/1/p2p/{id}");
    network.configure(0, |toml| _ = toml.insert("persistent-peers".into(), vec![nobody].into()));
    found(&network, 0, "peers", &["no-such-host.invalid", "cannot be resolved"]).await;
    network.configure(0, |toml| _ = toml.insert("persistent-peers".into(), peers));

    // The sign state of another validator's key, then that of another chain.
    let sign_state = network.node_dir(0).join("validator.key.sign-state");
    let own = std::fs::read(&sign_state).unwrap();
    std::fs::copy(network.node_dir(1).join("validator.key.sign-state"), &sign_state).unwrap();
    found(&network, 0, "sign-state", &["is of the key", path_text(&sign_state)]).await;
    std::fs::remove_file(&sign_state).unwrap();
    found(&network, 0, "sign-state", &["does not exist", "heddle sign-state import"]).await;
    std::fs::write(&sign_state, own).unwrap();

    let genesis = network.configuration(0)["chain"].clone();
    let other = Network::create_with(1, &["--chain-id", "4711"]).await;
    network.configure(0, |toml| _ = toml.insert("chain".into(), path_text(&other.genesis()).into()));
    found(&network, 0, "genesis", &["genesis"]).await;
    found(&network, 0, "sign-state", &["is of the chain"]).await;
    let examined = doctor(&network, 0, &["--peers-rpc", &network.rpc(3).url()]).await;
    assert!(findings(&object(&examined), "forks", "problem")[0].contains("another chain"), "{}", examined.stderr);
    network.configure(0, |toml| _ = toml.insert("chain".into(), genesis));

    // An upgrade that the others know nothing of.
    network.edit_genesis(|genesis| genesis["config"]["amsterdamTime"] = 4_000_000_000u64.into());
    let examined = doctor(&network, 0, &["--peers-rpc", &network.rpc(3).url()]).await;
    let result = object(&examined);
    assert!(findings(&result, "forks", "problem")[0].contains("Amsterdam: never there"), "{}", examined.stderr);
    assert!(findings(&result, "forks", "warning")[0].contains("other forks"), "{}", examined.stderr);
    network.edit_genesis(|genesis| _ = genesis["config"].as_object_mut().unwrap().remove("amsterdamTime"));

    let log = network.datadir(0).join("consensus.log");
    let intact = std::fs::read(&log).unwrap();
    std::fs::write(&log, b"not a log").unwrap();
    found(&network, 0, "log", &[path_text(&log), "damaged"]).await;
    std::fs::write(&log, intact).unwrap();
    let mended = doctor(&network, 0, &[]).await;
    assert_eq!(mended.result()["problems"], 0, "{}", mended.stderr);
}
