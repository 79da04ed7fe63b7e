//! Names that bind every protocol and topic to one chain.

use alloy_primitives::B256;
use heddle_primitives::{MAX_CONSENSUS_MESSAGE_BYTES, MAX_TRANSACTION_BATCH_BYTES};
use libp2p::{
    StreamProtocol,
    gossipsub::{IdentTopic, TopicHash},
};

/// RLP framing around a full batch of transactions: a header for each and one for the list.
const TRANSACTION_BATCH_FRAMING_BYTES: usize = 8 * 1024;

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Batches of transactions for the mempool.
    Transactions,
    /// Proposals, votes and certificates.
    Consensus,
}

impl Topic {
    /// Every topic; a node is subscribed to all of them.
    pub(crate) const ALL: [Self; 2] = [Self::Transactions, Self::Consensus];

    /// Largest message, in bytes.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Transactions => MAX_TRANSACTION_BATCH_BYTES + TRANSACTION_BATCH_FRAMING_BYTES,
            Self::Consensus => MAX_CONSENSUS_MESSAGE_BYTES,
        }
    }
}

/// The names of one chain: `/heddle/<first 8 hex of the genesis hash>/...`.
#[derive(Clone, Debug)]
pub(crate) struct Protocols {
    prefix: String,
    transactions: IdentTopic,
    consensus: IdentTopic,
}

impl Protocols {
    pub(crate) fn new(genesis_hash: B256) -> Self {
        let prefix = format!("/heddle/{}", hex::encode(&genesis_hash[..4]));
        let transactions = IdentTopic::new(format!("{prefix}/tx/1"));
        let consensus = IdentTopic::new(format!("{prefix}/consensus/1"));
        Self { prefix, transactions, consensus }
    }

    /// What identify announces; a peer that announces another one is of another chain.
    pub(crate) fn identity(&self) -> String {
        format!("{}/1", self.prefix)
    }

    pub(crate) fn kademlia(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/kad/1", self.prefix))
    }

    pub(crate) fn request(&self) -> Result<StreamProtocol, libp2p::swarm::InvalidProtocol> {
        StreamProtocol::try_from_owned(format!("{}/req/1", self.prefix))
    }

    /// Gossipsub appends its own version.
    pub(crate) fn gossip_prefix(&self) -> String {
        format!("{}/gossip", self.prefix)
    }

    pub(crate) fn ident_topic(&self, topic: Topic) -> &IdentTopic {
        match topic {
            Topic::Transactions => &self.transactions,
            Topic::Consensus => &self.consensus,
        }
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
        assert_eq!(protocols.topic_hash(Topic::Transactions).as_str(), "/heddle/deadbeef/tx/1");
        let consensus = protocols.topic_hash(Topic::Consensus);
        assert_eq!(protocols.topic(&consensus), Some(Topic::Consensus));
        assert_eq!(Protocols::new(B256::ZERO).topic(&consensus), None);
    }
}
