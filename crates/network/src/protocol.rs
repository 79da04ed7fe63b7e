//! Names that bind every protocol and topic to one chain.

use alloy_primitives::B256;
use heddle_primitives::{MAX_COMPACT_BLOCK_BYTES, MAX_CONSENSUS_MESSAGE_BYTES};
use libp2p::{
    StreamProtocol,
    gossipsub::{IdentTopic, TopicHash},
};
use std::ops::{Index, IndexMut};

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Votes, certificates and evidence.
    Consensus,
    /// Proposals of blocks.
    Proposals,
    /// Blocks that are final.
    Blocks,
}

impl Topic {
    /// Every topic, what matters most first; a node is subscribed to all of them.
    pub(crate) const ALL: [Self; 3] = [Self::Consensus, Self::Proposals, Self::Blocks];

    /// Largest message, in bytes.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Consensus => MAX_CONSENSUS_MESSAGE_BYTES,
            Self::Proposals | Self::Blocks => MAX_COMPACT_BLOCK_BYTES,
        }
    }

    /// Whether a node says again what peers may have missed, so that its messages travel with a count of repeats.
    pub(crate) const fn is_repeated(self) -> bool {
        matches!(self, Self::Consensus | Self::Proposals)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Proposals => "proposals",
            Self::Blocks => "blocks",
        }
    }
}

/// One value a topic.
#[derive(Clone, Debug)]
pub(crate) struct ByTopic<T>([T; Topic::ALL.len()]);

impl<T> ByTopic<T> {
    pub(crate) fn new(value: impl FnMut(Topic) -> T) -> Self {
        Self(Topic::ALL.map(value))
    }

    /// Every value, in the order of [`Topic::ALL`].
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T> Index<Topic> for ByTopic<T> {
    type Output = T;

    fn index(&self, topic: Topic) -> &T {
        &self.0[topic as usize]
    }
}

impl<T> IndexMut<Topic> for ByTopic<T> {
    fn index_mut(&mut self, topic: Topic) -> &mut T {
        &mut self.0[topic as usize]
    }
}

/// The version of the wire, the last part of every name. Raised when a message changes its meaning or its form; a node then
/// serves the version before as well, for as long as a network needs to be upgraded node by node.
pub(crate) const WIRE_VERSION: u16 = 1;

/// What a node says it runs, to peers and to callers: name, version and platform, in go-ethereum's form.
pub fn client_version() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("heddle/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION"))
}

/// What a peer's identity says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// One of this chain and this version.
    SameVersion,
    /// One of this chain whose newest version is another.
    OtherVersion(u16),
    /// One of another chain, or no node of Heddle at all.
    OtherChain,
}

/// The names of one chain: `/heddle/<first 8 hex of the genesis hash>/...`.
#[derive(Clone, Debug)]
pub(crate) struct Protocols {
    prefix: String,
    topics: ByTopic<IdentTopic>,
}

impl Protocols {
    pub(crate) fn new(genesis_hash: B256) -> Self {
        let prefix = format!("/heddle/{}", hex::encode(&genesis_hash[..4]));
        let topics = ByTopic::new(|topic| IdentTopic::new(format!("{prefix}/{}/{WIRE_VERSION}", topic.name())));
        Self { prefix, topics }
    }

    /// What identify announces: the chain, and the newest version of the wire that is spoken.
    pub(crate) fn identity(&self) -> String {
        format!("{}/{WIRE_VERSION}", self.prefix)
    }

    /// What a peer's identity says of it.
    pub(crate) fn kinship(&self, identity: &str) -> Kinship {
        let version = identity.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('/')?.parse().ok());
        match version {
            None => Kinship::OtherChain,
            Some(WIRE_VERSION) => Kinship::SameVersion,
            Some(version) => Kinship::OtherVersion(version),
        }
    }

    /// Whether a peer that serves these protocols understands this node, and is understood, whatever else they speak.
    pub(crate) fn are_spoken(&self, theirs: &[StreamProtocol]) -> bool {
        let ours = [self.request(), self.transactions()];
        ours.into_iter().all(|name| name.is_ok_and(|name| theirs.contains(&name)))
    }

    pub(crate) fn kademlia(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/kad/{WIRE_VERSION}", self.prefix))
    }

    pub(crate) fn request(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/req/{WIRE_VERSION}", self.prefix))
    }

    /// The exchange of transactions.
    pub(crate) fn transactions(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/tx/{WIRE_VERSION}", self.prefix))
    }

    pub(crate) fn ident_topic(&self, topic: Topic) -> &IdentTopic {
        &self.topics[topic]
    }

    pub(crate) fn topic_hash(&self, topic: Topic) -> TopicHash {
        self.ident_topic(topic).hash()
    }

    /// The topic of this name, if it is one of ours.
    pub(crate) fn topic(&self, hash: &TopicHash) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.topic_hash(*topic) == *hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn names_carry_the_genesis_hash() {
        let hash = b256!("0xdeadbeef00000000000000000000000000000000000000000000000000000000");
        let protocols = Protocols::new(hash);
        assert_eq!(protocols.identity(), "/heddle/deadbeef/1");
        assert_eq!(protocols.kademlia().unwrap().as_ref(), "/heddle/deadbeef/kad/1");
        assert_eq!(protocols.request().unwrap().as_ref(), "/heddle/deadbeef/req/1");
        assert_eq!(protocols.transactions().unwrap().as_ref(), "/heddle/deadbeef/tx/1");
        let topics = Topic::ALL.map(|topic| protocols.topic_hash(topic).into_string());
        let names = ["consensus", "proposals", "blocks"].map(|name| format!("/heddle/deadbeef/{name}/1"));
        assert_eq!(topics, names);
        let consensus = protocols.topic_hash(Topic::Consensus);
        assert_eq!(protocols.topic(&consensus), Some(Topic::Consensus));
        assert_eq!(Protocols::new(B256::ZERO).topic(&consensus), None);
    }

    #[test]
    fn another_version_is_not_another_chain() {
        let protocols = Protocols::new(B256::repeat_byte(0xab));
        assert_eq!(protocols.kinship(&protocols.identity()), Kinship::SameVersion);
        assert_eq!(protocols.kinship("/heddle/abababab/2"), Kinship::OtherVersion(2));
        for foreign in
            ["", "ipfs/0.1.0", "/heddle/abababac/1", "/heddle/abababab", "/heddle/ababababab/1", "/heddle/abababab/x"]
        {
            assert_eq!(protocols.kinship(foreign), Kinship::OtherChain, "{foreign}");
        }
        let names = |names: &[&'static str]| Vec::from_iter(names.iter().map(|name| StreamProtocol::new(name)));
        let newer = names(&["/heddle/abababab/req/2", "/heddle/abababab/tx/2"]);
        assert!(!protocols.are_spoken(&newer));
        let both = [newer, names(&["/heddle/abababab/req/1", "/heddle/abababab/tx/1"])].concat();
        assert!(protocols.are_spoken(&both), "it serves the version before");
    }

    #[test]
    fn each_topic_has_its_own_value() {
        let values = ByTopic::new(|topic| topic);
        assert!(Topic::ALL.into_iter().all(|topic| values[topic] == topic));
    }
}
