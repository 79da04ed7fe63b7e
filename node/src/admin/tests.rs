//! The server over real connections.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use jsonrpsee::RpcModule;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"admin_test","params":[]}"#;

/// A server with one method, and the file that leads to it.
async fn start() -> (TempDir, AdminFile) {
    let datadir = tempfile::tempdir().unwrap();
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap(), datadir.path()).await.unwrap();
    let mut module = RpcModule::new(());
    module.register_method("admin_test", |_, _, _| "an answer").unwrap();
    tokio::spawn(server.run(module));
    let file = AdminFile::read(datadir.path()).unwrap();
    (datadir, file)
}

/// All that the server says to a request.
async fn send(file: &AdminFile, method: &str, token: Option<&str>, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{token}Content-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(file.address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_call_with_the_token_is_answered_and_no_other() {
    let (_datadir, file) = start().await;
    let right = Some(file.token.as_str());
    let answer = send(&file, "POST", right, CALL).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("an answer"), "{answer}");
    for token in [None, Some(""), Some("0000"), Some(&file.token[1..])] {
        let answer = send(&file, "POST", token, CALL).await;
        assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("an answer"), "{token:?}: {answer}");
    }
    assert!(send(&file, "GET", right, "").await.starts_with("HTTP/1.1 405"));
    let batch = send(&file, "POST", right, &format!("[{CALL}]")).await;
    assert!(batch.contains("error") && !batch.contains("an answer"), "{batch}");
}

#[tokio::test]
async fn what_is_too_long_is_not_read() {
    let (_datadir, file) = start().await;
    let long = format!("{CALL}{}", " ".repeat(REQUEST_BYTES as usize));
    assert!(send(&file, "POST", Some(&file.token), &long).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_client_beyond_the_most_waits_for_another_to_end() {
    let (_datadir, file) = start().await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(TcpStream::connect(file.address).await.unwrap());
    }
    let waiting = send(&file, "POST", Some(&file.token), CALL);
    tokio::pin!(waiting);
    // As long as nobody goes there is no answer, however long one looks.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    drop(idle.pop());
    assert!(waiting.await.contains("an answer"));
}
