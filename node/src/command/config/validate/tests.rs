use super::*;
use crate::keys::KeyFile;
use heddle_primitives::ConsensusKey;

/// A directory with all the files that a validator's configuration names, and that configuration.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(
        path("genesis.json"),
        r#"{"config":{"chainId":1},"difficulty":"0x1","gasLimit":"0x1388","alloc":{}}"#,
    )
    .unwrap();
    crate::keys::create(&path("validator.key"), &KeyFile::Plain(ConsensusKey::generate())).unwrap();
    directory
}

/// The keys with a problem of this configuration, in that directory.
fn keys(directory: &Path, text: &str) -> Vec<(String, String)> {
    let file = directory.join("node.toml");
    std::fs::write(&file, text).unwrap();
    let problems = problems(&file).unwrap();
    problems.into_iter().map(|problem| (problem.key, format!("{}: {}", problem.problem, problem.fix))).collect()
}

const GOOD: &str = "chain = 'genesis.json'\ndatadir = 'data'\nvalidator-key = 'validator.key'\n";

#[test]
fn a_good_file_has_no_problem() {
    let directory = directory();
    assert_eq!(keys(directory.path(), GOOD), []);
}

#[test]
fn every_problem_is_named_at_once() {
    let directory = directory();
    let text = "prot = 1\nport = 70000\nmaxpeers = 5\n[peers]\noutbound = 6\n";
    let found = keys(directory.path(), text);
    let expected = [
        ("prot", "`port`"),
        ("port", "0..=65535"),
        ("chain", "missing"),
        ("datadir", "missing"),
        ("peers.outbound", "6"),
    ];
    for (key, words) in expected {
        let problem = found.iter().find(|(found, _)| found == key);
        assert!(problem.is_some_and(|(_, text)| text.contains(words)), "{key}: {words} is not in {found:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn each_mistake_is_found_alone() {
    let cases = [
        ("port = 8545\n[http]\nenabled = true\n", "http.port", "8545"),
        ("metrics = '127.0.0.1:30303'\n", "metrics", "`port`"),
        ("reserved-only = true\n", "reserved-only", "persistent-peers"),
        ("sync = 'from-file'\n", "snapshot.file", "from-file"),
        ("snapshot.file = 'x'\n", "snapshot.file", "from-file"),
        ("no-admin = true\nadmin.port = 5\n", "admin.port", "no-admin"),
        ("sign-state = 'elsewhere'\n", "sign-state", "does not exist"),
        ("validator-key-passphrase-file = 'nowhere'\n", "validator-key-passphrase-file", "nowhere"),
        ("node-key = 'genesis.json'\n", "node-key", "genesis.json"),
    ];
    let directory = directory();
    for (text, key, words) in cases {
        let found = keys(directory.path(), &format!("{GOOD}{text}"));
        assert!(found.len() == 1 && found[0].0 == key && found[0].1.contains(words), "{text}: {found:?}");
    }
}

#[test]
fn what_is_no_toml_is_one_problem() {
    let directory = directory();
    let found = keys(directory.path(), "port = \n");
    assert!(found.len() == 1 && found[0].1.contains("line 1"), "{found:?}");
}
