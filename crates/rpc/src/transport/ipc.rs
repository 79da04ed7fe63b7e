//! The Unix socket: whoever may open it may call everything.

use super::accept::accept;
use super::framing::{JsonReader, LineWriter};
use super::stream::{Patience, Serving, Stream};
use super::{Shared, session};
use crate::metrics::Transport;
use crate::modules::Namespaces;
use crate::{Api, RpcError};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

/// Only the user of the node.
const MODE: u32 = 0o600;
/// A user of this machine is not asked whether it is there.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A bound socket; its file is removed when this is dropped.
pub(crate) struct IpcSocket {
    listener: UnixListener,
    _file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "cannot remove");
        }
    }
}

impl IpcSocket {
    /// Binds the socket, in place of one that a node that was killed left behind.
    pub(crate) async fn bind(path: &Path) -> Result<Self, RpcError> {
        let error = |source| RpcError::Ipc { path: path.to_owned(), source };
        remove_stale(path).await.map_err(error)?;
        let listener = bind_private(path).map_err(error)?;
        Ok(Self { listener, _file: SocketFile(path.to_owned()) })
    }

    /// Serves until the server stops.
    pub(crate) async fn serve(self, shared: Shared) {
        let connect = |(stream, _), place: Option<_>| match place {
            Some(place) => connect(&shared, stream, place),
            None => drop(stream),
        };
        accept(&shared, || self.listener.accept(), connect).await;
    }
}

fn connect(shared: &Shared, stream: UnixStream, place: OwnedSemaphorePermit) {
    let counted = shared.dispatcher.metrics.connected(Transport::Ipc);
    let patience = Patience { idle: NEVER, head: NEVER, write: shared.dispatcher.limits().write_timeout };
    let stream = Stream::new(stream, patience, Serving::default(), shared.linger.clone(), (place, counted));
    let (read, write) = tokio::io::split(stream);
    let caller = shared.caller(Namespaces(Api::names().into()), None);
    let reader = JsonReader::new(read, shared.dispatcher.clone(), caller.share.clone());
    shared.tasks.spawn(session::serve(shared.clone(), caller, reader, LineWriter(write), NEVER));
}

/// Removes a socket that nobody listens on.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists, and is no socket"));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it"));
    }
    std::fs::remove_file(path)
}

/// Binds under another name, in a directory of its own: nobody finds the socket before it has its mode.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let hidden = parent.join(format!(".heddle-{:08x}", rand::random::<u32>()));
    std::fs::create_dir(&hidden)?;
    let bound = std::fs::set_permissions(&hidden, Permissions::from_mode(0o700)).and_then(|()| {
        let socket = hidden.join("s");
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, Permissions::from_mode(MODE))?;
        std::fs::rename(&socket, path)?;
        Ok(listener)
    });
    let removed = std::fs::remove_dir_all(&hidden);
    let listener = bound?;
    removed?;
    Ok(listener)
}
