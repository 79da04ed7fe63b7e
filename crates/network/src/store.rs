//! The file of the peers met, so that a restart needs no bootnodes, and of the bans, so that a restart ends none.
//!
//! JSON, replaced as a whole: written beside, synced, renamed. An entry that makes no sense is skipped, a file that makes
//! none is set aside, and the node starts without: whom it met is of use, not of need. A file that the system does not
//! let us read may be whole, so that it is left alone and not written either.

mod file;
#[cfg(test)]
mod tests;

use crate::peers::{Met, PROVEN_FOR, PROVEN_MAX, PeerBook, bans::Ban};
use file::{StoredAddressBan, StoredBan, StoredPeer, StoredPeers, VERSION};
use parking_lot::Mutex;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Largest file read, in bytes: many times what the bounds on peers and bans allow.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest ban taken over, against a time that no clock can tell.
const BAN_FOR_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Where the peers met are kept.
#[derive(Debug)]
pub(crate) struct PeerStore {
    path: PathBuf,
    /// How many times the file was to be written, and held by the writer, which of these it holds now.
    asked: AtomicU64,
    written: Arc<Mutex<u64>>,
}

/// A moment on both clocks: bans and ages run on the one, the file is written with the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { now: Instant::now(), unix }
    }

    /// How long ago a second of 1970's clock was; zero if it is to come.
    fn age(&self, unix: u64) -> Duration {
        Duration::from_secs(self.unix.saturating_sub(unix))
    }

    fn at(&self, instant: Instant) -> u64 {
        let ahead = instant.saturating_duration_since(self.now).as_secs();
        let behind = self.now.saturating_duration_since(instant).as_secs();
        self.unix.saturating_add(ahead).saturating_sub(behind)
    }

    /// The instant of a second to come; `None` when it has passed.
    fn ahead(&self, unix: u64) -> Option<Instant> {
        let ahead = Duration::from_secs(unix.saturating_sub(self.unix)).min(BAN_FOR_MAX);
        self.now.checked_add(ahead).filter(|_| !ahead.is_zero())
    }
}

impl PeerStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, asked: AtomicU64::new(0), written: Arc::default() }
    }

    /// Tells the book what an earlier run left; whether the file may be replaced now. A damaged one is set aside with a
    /// warning.
    pub(crate) fn load(&self, book: &mut PeerBook, moment: Moment) -> bool {
        let path = self.path.display();
        let bytes = match read(&self.path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return true,
            Err(error) => {
                tracing::warn!(%path, %error, "cannot read the file of peers: going on without, and leaving it as it is");
                return false;
            }
        };
        match parse(&bytes) {
            Ok(stored) => {
                restore(stored, book, moment);
                true
            }
            Err(error) => self.set_aside(&error),
        }
    }

    /// Renames a damaged file; whether that worked.
    fn set_aside(&self, error: &io::Error) -> bool {
        let (path, aside) = (self.path.display(), beside(&self.path, "damaged"));
        tracing::warn!(%path, %error, aside = %aside.display(), "the file of peers is damaged: set aside, going on without");
        fs::rename(&self.path, &aside)
            .inspect_err(
                |error| tracing::warn!(%path, %error, "cannot set the file of peers aside: leaving it as it is"),
            )
            .is_ok()
    }

    /// Replaces the file by what the book knows now, before it returns.
    pub(crate) fn save(&self, book: &PeerBook, moment: Moment) {
        self.write(book, moment)();
    }

    /// The same on a thread that may wait for the disk.
    pub(crate) fn save_in_background(&self, book: &PeerBook, moment: Moment) {
        tokio::task::spawn_blocking(self.write(book, moment));
    }

    /// Writes what the book knows now, unless something later was written in the meantime.
    fn write(&self, book: &PeerBook, moment: Moment) -> impl FnOnce() + Send + 'static {
        let (stored, path, written) = (stored(book, moment), self.path.clone(), self.written.clone());
        let turn = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        move || {
            let mut written = written.lock();
            if *written > turn {
                return;
            }
            *written = turn;
            if let Err(error) = replace(&path, &stored) {
                tracing::warn!(path = %path.display(), %error, "cannot write the file of peers");
            }
        }
    }
}

/// The file, of which no more than one byte above the bound is read; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?,
    };
    Ok(Some(bytes))
}

fn parse(bytes: &[u8]) -> io::Result<StoredPeers> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("larger than any such file"));
    }
    let stored: StoredPeers = serde_json::from_slice(bytes)?;
    if stored.version == VERSION { Ok(stored) } else { Err(io::Error::other("of another version")) }
}

fn replace(path: &Path, stored: &StoredPeers) -> io::Result<()> {
    let temporary = beside(path, "new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(stored)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The new name lasts once the directory is on disk.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// A file of the same name with an ending added.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn restore(stored: StoredPeers, book: &mut PeerBook, moment: Moment) {
    for peer in stored.peers.into_iter().take(PROVEN_MAX) {
        let age = moment.age(peer.last_seen);
        if age <= PROVEN_FOR {
            let StoredPeer { peer_id, addresses, score, agent, .. } = peer;
            book.restore(Met { peer: peer_id, addresses, age, score, agent }, moment.now);
        }
    }
    for ban in stored.bans {
        // A ban that has ended counts only towards the length of the next one.
        let ended = moment.now.checked_sub(moment.age(ban.until));
        if let Some(until) = moment.ahead(ban.until).or(ended) {
            book.bans.restore(ban.peer_id, Ban { until, times: ban.times, ip: ban.ip });
        }
    }
    for ban in stored.address_bans {
        if let Some(until) = moment.ahead(ban.until) {
            book.bans.restore_address(ban.ip, until);
        }
    }
    book.bans.sweep(moment.now);
}

fn stored(book: &PeerBook, moment: Moment) -> StoredPeers {
    let peer = |met: Met| StoredPeer {
        peer_id: met.peer,
        addresses: met.addresses,
        last_seen: moment.unix.saturating_sub(met.age.as_secs()),
        score: met.score,
        agent: met.agent,
    };
    let ban = |(peer, ban): (&libp2p::PeerId, &Ban)| StoredBan {
        peer_id: *peer,
        until: moment.at(ban.until),
        times: ban.times,
        ip: ban.ip,
    };
    let fresh = book.met(moment.now).into_iter().filter(|met| met.age <= PROVEN_FOR);
    StoredPeers {
        version: VERSION,
        peers: fresh.take(PROVEN_MAX).map(peer).collect(),
        bans: book.bans.peers().map(ban).collect(),
        address_bans: book
            .bans
            .addresses()
            .map(|(ip, until)| StoredAddressBan { ip: *ip, until: moment.at(*until) })
            .collect(),
    }
}
