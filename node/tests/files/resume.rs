//! An import that ends at any moment has kept whole blocks, and the next one goes on.

use super::support::{Ended, Files, plain_blocks, rlp};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const BLOCKS: u64 = 400;

/// An import that gets a signal when it tells of its first blocks; with what it told.
fn signalled(mut import: Command, signal: &str) -> Ended {
    let mut child = import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut told).unwrap();
    assert!(told.starts_with("import "), "{told}");
    Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    Ended { stderr: told, ..Ended::of(child.wait_with_output().unwrap()) }
}

#[test]
fn what_a_signal_ends_the_next_import_finishes() {
    let files = Files::plain();
    let blocks = plain_blocks(&files, BLOCKS);
    let path = files.write("chain.rlp", &rlp(&blocks));
    let head = |number: u64| match number {
        0 => files.genesis.hash(),
        number => blocks[number as usize - 1].header.hash_slow(),
    };
    for signal in ["-KILL", "-INT", "-KILL", "-TERM"] {
        let ended = signalled(files.import_command("data", &[&path]), signal);
        if signal != "-KILL" {
            let result = ended.result.unwrap();
            let number = result["number"].as_u64().unwrap();
            // It may have been done before the signal came.
            assert_eq!(ended.code, Some(i32::from(number < BLOCKS)), "{}", ended.stderr);
            assert_eq!(result["hash"], head(number).to_string());
        }
        let kept = files.open("data").head();
        assert_eq!(kept.hash(), head(kept.header.number), "after {signal}");
        println!("{signal}: block {} is kept", kept.header.number);
    }
    let result = files.import("data", &[&path]);
    assert_eq!(result.ok()["hash"], head(BLOCKS).to_string());
    assert_eq!(files.import("data", &[&path]).ok()["blocks"], 0);
}
