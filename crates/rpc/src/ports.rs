//! What the server asks of the node around it.

use alloy_primitives::{B256, U64};
use heddle_primitives::ValidatorAddress;
use serde::{Deserialize, Serialize};

/// The node's own status; every method answers from memory.
pub trait NodeStatus: Send + Sync + 'static {
    /// Name, version and platform, as `web3_clientVersion` reports them: `heddle/v0.1.0/linux-x86_64`.
    fn client_version(&self) -> String;

    /// Connected peers.
    fn peer_count(&self) -> u64;

    /// Whether the node accepts connections from peers.
    fn is_listening(&self) -> bool;

    /// How far the node is behind; `None` when it follows the head.
    fn sync_progress(&self) -> Option<SyncProgress>;

    /// What `heddle_status` says beyond the chain.
    fn report(&self) -> NodeReport;

    /// Where consensus stands; `None` when the node has none, or has not begun.
    fn consensus(&self) -> Option<ConsensusReport>;
}

/// Where a node that catches up stands, in block numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncProgress {
    /// The head when catching up began.
    #[serde(with = "alloy_serde::quantity")]
    pub starting: u64,
    /// The head now.
    #[serde(with = "alloy_serde::quantity")]
    pub current: u64,
    /// The highest head that peers report.
    #[serde(with = "alloy_serde::quantity")]
    pub highest: u64,
    /// While a state is fetched to begin with, how much of it is there, in parts of a million.
    #[serde(with = "alloy_serde::quantity::opt")]
    pub state: Option<u32>,
}

/// What a node knows of itself and its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    /// Its identity among peers; `None` without a network.
    pub peer_id: Option<String>,
    /// The validator whose key it has, be it a member at present or not.
    pub validator: Option<ValidatorAddress>,
    /// Its peers.
    pub peers: PeerCounts,
    /// How many blocks most peers are ahead.
    pub lag: U64,
    /// Bytes free for this user where the data directory is; `None` when the system does not say.
    pub free_bytes: Option<U64>,
    /// Seconds since it started.
    pub uptime: U64,
    /// Its clock, in milliseconds since 1970.
    pub time: U64,
}

/// Connected peers by who dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCounts {
    /// They did.
    pub inbound: U64,
    /// The node did.
    pub outbound: U64,
}

/// What is being done at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsensusStep {
    /// The node's validator waits until it has caught up with its peers before it signs.
    CatchUp,
    /// The pause before the height.
    NewHeight,
    /// The round's proposal is awaited.
    Propose,
    /// Prevotes are awaited.
    Prevote,
    /// Precommits are awaited.
    Precommit,
    /// The height is decided.
    Commit,
}

/// Where consensus is. Times are milliseconds since 1970 by the node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsensusPosition {
    /// The height that is being decided, or that starts next.
    pub height: U64,
    /// Its round.
    pub round: U64,
    /// What is being done.
    pub step: ConsensusStep,
    /// Since when the node has been at this height.
    pub height_since: U64,
    /// Since when it has been in this round and step.
    pub since: U64,
}

/// What `heddle_consensusState` answers: who has voted in the present round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsensusReport {
    /// Where consensus is.
    #[serde(flatten)]
    pub position: ConsensusPosition,
    /// Whose turn it is to propose in this round.
    pub proposer: ValidatorAddress,
    /// The block that was proposed, if the proposal has come.
    pub proposal: Option<B256>,
    /// Power of all validators; more than two thirds of it decide.
    pub total_power: U64,
    /// The least power that decides.
    pub quorum_power: U64,
    /// Why this node's key signs nothing at this height, when it should.
    pub refusal: Option<String>,
    /// The validators of the height, by address.
    pub validators: Vec<ValidatorReport>,
}

/// A validator and its votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorReport {
    /// Who it is.
    pub address: ValidatorAddress,
    /// Its voting power.
    pub power: U64,
    /// Whether this node signs for it.
    pub is_own: bool,
    /// Its prevote in the present round: a block's hash, `nil`, or `null` when it has not come.
    pub prevote: Option<Ballot>,
    /// Its precommit in the present round.
    pub precommit: Option<Ballot>,
    /// Its last vote, at whatever height; `null` when none came since the node started.
    pub last_vote: Option<VoteReport>,
}

/// What a vote is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ballot {
    /// A block.
    Block(B256),
    /// No block.
    Nil(Nil),
}

/// The word `nil`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nil {
    /// It.
    Nil,
}

/// When a vote came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteReport {
    /// Its height.
    pub height: U64,
    /// Its round.
    pub round: U64,
    /// When it came, in milliseconds since 1970; validators repeat their votes every second while a height lasts.
    pub time: U64,
}
