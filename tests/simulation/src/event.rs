//! What happens to a node, and what it does to the world.

use crate::time::Micros;
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use heddle_consensus::{CheckedMessage, Timeout};
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, Height, ProposedBlock, Request, Response, Round, SigningContext,
    TransactionBatch, Validator, ValidatorSet,
};
use heddle_sync::PeerFault;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A consensus message on its way, with what all its receivers would compute alike.
pub struct Wire {
    /// The message.
    pub message: ConsensusMessage,
    /// Length of its encoding.
    pub bytes: usize,
    text: String,
    /// The answer of the check, for each set of validators it was asked about.
    checked: RefCell<Vec<(ValidatorSet, Result<CheckedMessage, String>)>>,
}

impl Wire {
    /// A message that was just published.
    pub fn new(message: ConsensusMessage) -> Self {
        Self { text: describe(&message), bytes: message.length(), message, checked: RefCell::default() }
    }

    /// [`CheckedMessage::check`], which is pure: computed once for each set of validators.
    pub fn check(&self, validators: &ValidatorSet, context: &SigningContext) -> Result<CheckedMessage, String> {
        let mut checked = self.checked.borrow_mut();
        if let Some((_, result)) = checked.iter().find(|(known, _)| known == validators) {
            return result.clone();
        }
        let result = CheckedMessage::check(self.message.clone(), validators, context).map_err(|e| e.to_string());
        checked.push((validators.clone(), result.clone()));
        result
    }
}

/// A message in a few words.
fn describe(message: &ConsensusMessage) -> String {
    let short = |hash: &B256| hash.to_string()[2..10].to_owned();
    match message {
        ConsensusMessage::Vote(signed) => {
            let vote = &signed.vote;
            let value = vote.block_hash.as_ref().map_or("nil".to_owned(), short);
            format!("{:?} {}/{} {value} by {:.4}", vote.kind, vote.height, vote.round, Short(&vote.validator))
        }
        ConsensusMessage::Proposal(message) => {
            let proposal = &message.proposal.proposal;
            let (hash, polka) = (short(&proposal.block_hash), proposal.pol_round.map(Round::as_u32));
            let by = Short(&proposal.validator);
            format!("Proposal {}/{} {hash} pol {polka:?} by {by:.4}", proposal.height, proposal.round)
        }
        ConsensusMessage::PolkaCertificate(c) => {
            format!("Polka {}/{} {} of {}", c.height, c.round, short(&c.block_hash), c.signatures.len())
        }
        ConsensusMessage::RoundCertificate(c) => {
            format!("{:?} certificate {}/{} of {}", c.kind, c.height, c.round, c.signatures.len())
        }
        ConsensusMessage::Evidence(evidence) => {
            let by = Short(&evidence.validator());
            format!("Evidence {}/{} against {by}", evidence.height(), evidence.round())
        }
        ConsensusMessage::CommitCertificate(c) => {
            format!("Commit {}/{} {} of {}", c.height, c.round, short(&c.block_hash), c.signatures.len())
        }
    }
}

/// The first bytes of an address.
struct Short<'a>(&'a heddle_primitives::ValidatorAddress);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string()[2..8])
    }
}

/// One thing that happens to a node.
#[derive(Clone)]
pub enum Event {
    /// The machine starts.
    Boot,
    /// The node will crash after so many durable or visible steps.
    Arm(u64),
    /// A consensus message, and the peer it came from.
    Gossip(usize, Rc<Wire>),
    /// Transactions of a user or a peer.
    Transactions(Rc<TransactionBatch>),
    /// A peer asks.
    Request(usize, u64, Request),
    /// A peer answers the request of this number; `None` when it is not reachable.
    Response(usize, u64, Option<Rc<Response>>),
    /// The request of this number took too long.
    Expired(u64),
    /// A timeout elapsed, if it was not scheduled again since.
    Elapsed(Timeout, u64),
    /// Time to build a block; the last number is the height's job number.
    Build(Height, Round, u64),
    /// Time to judge a block.
    Validate(Rc<Judgement>, u64),
    /// The pause between two heights may be over.
    Pause,
    /// Sync looks around.
    Tick,
    /// Sync looks around, because somebody is ahead.
    Wake,
    /// Headers or blocks of a peer have been checked.
    Checked,
    /// Sync commits its next block.
    Import,
    /// The head moved without consensus.
    HeadMoved(Height),
}

/// A block to be judged.
pub struct Judgement {
    /// Height of the block.
    pub height: Height,
    /// Hash of the block.
    pub block_hash: B256,
    /// The block.
    pub block: ProposedBlock,
    /// Whose it must be.
    pub proposer: Validator,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot => f.write_str("boot"),
            Self::Arm(steps) => write!(f, "will crash in {steps} steps"),
            Self::Gossip(from, wire) => write!(f, "gets from {from} {}", wire.text),
            Self::Transactions(batch) => write!(f, "gets {} transactions", batch.0.len()),
            Self::Request(from, id, request) => write!(f, "is asked by {from} #{id} {request:?}"),
            Self::Response(from, id, response) => match response.as_deref() {
                Some(Response::Status(status)) => write!(f, "hears from {from} #{id} head {}", status.height),
                Some(Response::Headers(headers)) => write!(f, "hears from {from} #{id} {} headers", headers.len()),
                Some(Response::Blocks(blocks)) => write!(f, "hears from {from} #{id} {} blocks", blocks.len()),
                Some(_) => write!(f, "hears from {from} #{id}"),
                None => write!(f, "cannot reach {from} #{id}"),
            },
            Self::Expired(id) => write!(f, "gives up request #{id}"),
            Self::Elapsed(t, _) => write!(f, "timeout {:?} {}/{}", t.kind, t.height, t.round),
            Self::Build(height, round, _) => write!(f, "builds {height}/{round}"),
            Self::Validate(judgement, _) => write!(f, "judges {} {}", judgement.height, judgement.block_hash),
            Self::Pause => f.write_str("pause"),
            Self::Tick => f.write_str("tick"),
            Self::Wake => f.write_str("wake"),
            Self::Checked => f.write_str("checked"),
            Self::Import => f.write_str("import"),
            Self::HeadMoved(height) => write!(f, "head moved to {height}"),
        }
    }
}

impl Event {
    /// Whether it is meant for the present life of a node, and void once that has ended.
    pub fn is_of_one_life(&self) -> bool {
        !matches!(
            self,
            Self::Boot
                | Self::Arm(_)
                | Self::Gossip(..)
                | Self::Transactions(_)
                | Self::Request(..)
                | Self::Response(..)
        )
    }
}

/// One thing that a node does.
pub enum Effect {
    /// Something will happen to it.
    After(Micros, Event),
    /// It sends a message to all.
    Publish(Box<ConsensusMessage>),
    /// It asks a peer.
    Ask(usize, u64, Request),
    /// It answers a peer.
    Answer(usize, u64, Response),
    /// It committed a block.
    Committed(Box<CertifiedBlock>),
    /// It entered a round.
    Round(Height, Round),
    /// The sign guard refused a signature.
    Refused,
    /// It finds that a peer did wrong.
    Blames(usize, PeerFault),
    /// Something worth a line of the trace.
    Note(String),
}
