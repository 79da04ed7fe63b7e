//! What the file holds. Times are seconds since 1970.

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::net::IpAddr;

/// The layout written and read.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPeers {
    pub(super) version: u32,
    #[serde(deserialize_with = "readable")]
    pub(super) peers: Vec<StoredPeer>,
    #[serde(deserialize_with = "readable")]
    pub(super) bans: Vec<StoredBan>,
    #[serde(deserialize_with = "readable")]
    pub(super) address_bans: Vec<StoredAddressBan>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPeer {
    #[serde(with = "text")]
    pub(super) peer_id: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) last_seen: u64,
    pub(super) score: f64,
    pub(super) agent: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredBan {
    #[serde(with = "text")]
    pub(super) peer_id: PeerId,
    pub(super) until: u64,
    pub(super) times: u32,
    pub(super) ip: Option<IpAddr>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredAddressBan {
    pub(super) ip: IpAddr,
    pub(super) until: u64,
}

/// The entries that can be read: one that cannot costs the others nothing.
fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let entries = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let count = entries.len();
    let read: Vec<_> = entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect();
    if read.len() < count {
        tracing::warn!(skipped = count - read.len(), of = count, "entries of the file of peers are unreadable");
    }
    Ok(read)
}

/// A peer id as the text that operators know.
mod text {
    use libp2p::PeerId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(peer: &PeerId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(peer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PeerId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
