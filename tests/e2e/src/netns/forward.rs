//! A door into a namespace.

use super::namespace::enter;
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Carries every connection to a port of 127.0.0.1 to the same port inside a namespace. Dropping it closes the port.
#[derive(Debug)]
pub struct Forward {
    accepting: AbortHandle,
}

impl Forward {
    pub(super) fn new(namespace: String, port: u16) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                // A connection that fails inside is closed outside: the client sees a node that does not answer.
                tokio::spawn(carry(outside, namespace.clone(), port));
            }
        });
        Self { accepting: accepting.abort_handle() }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut outside: TcpStream, namespace: String, port: u16) -> io::Result<()> {
    let connect = move || enter(&namespace, || std::net::TcpStream::connect(("127.0.0.1", port)))?;
    let inside = tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)??;
    inside.set_nonblocking(true)?;
    tokio::io::copy_bidirectional(&mut outside, &mut TcpStream::from_std(inside)?).await?;
    Ok(())
}
