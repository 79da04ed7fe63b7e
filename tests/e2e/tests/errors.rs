//! The failures that an operator meets first: each error names the cause and what mends it. What is wrong inside of
//! configuration and genesis files is in `bad_input.rs`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::{SmallDisk, free_port, path_text, run};

#[tokio::test]
async fn each_names_its_fix() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| path_text(&directory.path().join(name)).to_owned();
    for net in ["net", "other"] {
        run(&["genesis", "create", "--validators", "1", "--out", &path(net)]).await.result();
    }
    let (genesis, other, data) = (path("net/genesis.json"), path("other/genesis.json"), path("data"));
    run(&["init", "--chain", &genesis, "--datadir", &data]).await.result();
    std::fs::write(path("bad.toml"), "port = \n").unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    /// A command, and what its error names.
    type Case<'a> = (&'a [&'a str], &'a [&'a str]);
    let (nowhere, bad) = (path("nowhere"), path("bad.toml"));
    let cases: [Case<'_>; 14] = [
        (&["node", "--datadir", &data, "--chain", &nowhere], &[&nowhere, "No such file", "--chain"]),
        (&["node", "--datadir", &data, "--chain", &bad], &["not valid JSON", "heddle genesis create"]),
        (&["node", "--datadir", &data, "--chain", &other], &["is of the chain", "--chain", "--datadir"]),
        (
            &["node", "--datadir", &data, "--chain", &genesis, "--validator-key", &nowhere],
            &[&nowhere, "heddle key generate"],
        ),
        (&["node", "--datadir", &data, "--chain", &genesis, "--validator-key", &genesis], &["mode", "chmod 600"]),
        (&["node", "--datadir", &data, "--chain", &genesis, "--sync", "from-file"], &["--snapshot.file FILE"]),
        (&["node", "--config", &nowhere], &[&nowhere, "No such file", "--config"]),
        (&["node", "--config", &bad], &["not valid TOML", "line 1"]),
        (&["db", "stats", "--datadir", &nowhere], &[&nowhere, "no database", "--datadir"]),
        (&["snapshot", "create", "--datadir", &nowhere, &nowhere], &["no database", "--datadir"]),
        (&["peers", "list", "--datadir", &data], &["admin.json", "start the node"]),
        (&["validators", "--rpc", &nobody], &["nobody listens", &nobody, "--http", "--rpc"]),
        (&["key", "show", &nowhere], &[&nowhere, "heddle key generate"]),
        (&["devnet", "--validators", "17"], &["17", "1..=16"]),
    ];
    for (command, words) in cases {
        run(command).await.fails_naming(words);
    }
}

#[tokio::test]
async fn a_full_disk_is_named_with_its_fix() {
    let directory = tempfile::tempdir().unwrap();
    let (net, datadir) = (directory.path().join("net"), directory.path().join("small/data"));
    run(&["genesis", "create", "--validators", "1", "--out", path_text(&net)]).await.result();
    std::fs::create_dir(directory.path().join("small")).unwrap();
    let Some(disk) = SmallDisk::over(&directory.path().join("small"), 1) else { return };
    std::fs::create_dir(&datadir).unwrap();
    disk.fill();
    let genesis = net.join("genesis.json");
    let init = ["init", "--chain", path_text(&genesis), "--datadir", path_text(&datadir)];
    run(&init).await.fails_naming(&["No space left", "free space", path_text(&datadir)]);
}
