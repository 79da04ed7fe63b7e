//! Following a chain by headers and certificates alone: from a trusted header to any later one, across changes of the
//! validator set. Nothing here asks anybody: what it is given may come from whoever likes.
//!
//! ```text
//! trusted header, its epoch's set
//!   -> for each epoch to its end: last header, certificate of that set, proof of the registry's members in its state
//!   -> target header, certificate of its epoch's set
//! ```

mod codec;
mod linked;

pub use linked::{CertifiedHeader, VerifiedHeader};

use crate::registry::read_members;
use crate::{
    CertificateError, CommitCertificate, Epoch, Genesis, Header, Height, SealedHeader, SigningContext, ValidatorSet,
    ValidatorSetError,
};
use alloy_primitives::{Address, B256, Bytes, Sealable, U256, keccak256};
use alloy_trie::proof::{ProofVerificationError, verify_proof};
use alloy_trie::{Nibbles, TrieAccount};

/// Nodes on a path of a trie whose keys have 64 digits, at most.
const PROOF_NODES_MAX: usize = 65;

/// Why something is not accepted. Always the fault of whoever made or sent it; the client stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum LightClientError {
    /// Not after the trusted header.
    #[error("header {number} is not after the trusted header {trusted}")]
    NotLater {
        /// The header's number.
        number: u64,
        /// The trusted one's.
        trusted: u64,
    },
    /// In an epoch whose validators are not known: a step is missing, or is no end of this epoch.
    #[error("header {number} is not what is needed: the validators are known up to height {last}, the end of an epoch")]
    WrongEpoch {
        /// The header's number.
        number: u64,
        /// Last height of the epoch that the client is in.
        last: u64,
    },
    /// Not the child of the header before it.
    #[error("header {number} names {parent_hash} as its parent, which is not header {trusted} before it")]
    Unlinked {
        /// The header's number.
        number: u64,
        /// What it names.
        parent_hash: B256,
        /// Number of the header that it should follow.
        trusted: u64,
    },
    /// The certificate is for another block.
    #[error("the certificate is for block {certified} at height {certified_height}, not for header {number} ({hash})")]
    OtherBlock {
        /// Hash in the certificate.
        certified: B256,
        /// Height in the certificate.
        certified_height: u64,
        /// The header's number.
        number: u64,
        /// The header's hash.
        hash: B256,
    },
    /// The certificate proves nothing.
    #[error("certificate of header {number}: {error}")]
    Certificate {
        /// The header's number.
        number: u64,
        /// What is wrong.
        error: CertificateError,
    },
    /// The registry's account is not proven.
    #[error("proof of the registry's account in the state of header {number}: {reason}")]
    AccountProof {
        /// The header's number.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// A slot of the registry is not proven.
    #[error("proof of slot {slot:#x} of the registry in the state of header {number}: {reason}")]
    SlotProof {
        /// The header's number.
        number: u64,
        /// The slot.
        slot: U256,
        /// What is wrong.
        reason: String,
    },
    /// More slots than the members take.
    #[error("{given} slots are proven in the state of header {number}, the members take {needed}")]
    ExtraSlots {
        /// The header's number.
        number: u64,
        /// How many there are.
        given: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// A slot's value with the nodes on the path to it, from the storage root on (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The value; 0 where there is none.
    pub value: U256,
    /// The nodes.
    pub nodes: Vec<Bytes>,
}

/// The registry's members in a state (EIP-1186): `eth_getProof` of the registry with the slots that
/// [`read_members`] asks for, in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersProof {
    /// The registry's account.
    pub account: TrieAccount,
    /// The nodes on the path to it, from the state root on.
    pub nodes: Vec<Bytes>,
    /// Its slots.
    pub slots: Vec<SlotProof>,
}

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochStep {
    /// The epoch's last header.
    pub header: Header,
    /// Why it is final.
    pub certificate: CommitCertificate,
    /// The next epoch's validators.
    pub members: MembersProof,
}

/// What is known of a chain.
#[derive(Clone, Debug)]
pub struct LightClient {
    context: SigningContext,
    epoch_length: u64,
    registry: Option<Address>,
    header: SealedHeader,
    epoch: Epoch,
    /// Of the epoch.
    validators: ValidatorSet,
}

impl LightClient {
    /// Starts at genesis; `None` for the genesis of a plain Ethereum chain.
    pub fn new(genesis: &Genesis) -> Option<Self> {
        let heddle = genesis.heddle()?;
        Some(Self {
            context: genesis.signing_context(),
            epoch_length: heddle.epoch_length,
            registry: heddle.registry,
            header: genesis.header().clone(),
            epoch: Epoch::default(),
            validators: heddle.validators.clone(),
        })
    }

    /// Starts at a later header that is trusted for a reason of its own, as is that `validators` decide the height after
    /// it.
    pub fn trusting(self, header: SealedHeader, validators: ValidatorSet) -> Self {
        let epoch = Epoch::of(Height::new(header.number).next(), self.epoch_length);
        Self { header, epoch, validators, ..self }
    }

    /// The last verified header.
    pub fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// The epoch that the client is in: that of the header, or when a step ended it the next one.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The validators of that epoch.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Goes to a later header by the ends of all epochs between, first to last.
    ///
    /// # Errors
    /// See [`LightClientError`]; the client is then where the last good step led.
    pub fn follow(
        &mut self,
        steps: &[EpochStep],
        header: Header,
        certificate: &CommitCertificate,
    ) -> Result<(), LightClientError> {
        steps.iter().try_for_each(|step| self.end_epoch(step))?;
        self.advance(header, certificate)
    }

    /// Goes to a later header of this epoch.
    ///
    /// # Errors
    /// See [`LightClientError`].
    pub fn advance(&mut self, header: Header, certificate: &CommitCertificate) -> Result<(), LightClientError> {
        self.header = self.verify(header, certificate)?;
        Ok(())
    }

    /// Goes to the end of this epoch, and learns who decides the next one. On a chain without a registry no epoch ends.
    ///
    /// # Errors
    /// See [`LightClientError`].
    pub fn end_epoch(&mut self, step: &EpochStep) -> Result<(), LightClientError> {
        let last = self.last_known();
        if step.header.number != last {
            return Err(self.wrong_epoch(step.header.number));
        }
        let header = match self.header.number == last && self.header.inner() == &step.header {
            true => self.header.clone(),
            false => self.verify(step.header.clone(), &step.certificate)?,
        };
        self.enter_next_epoch(&step.members, header)
    }

    /// Learns from the state of this epoch's last header, which is verified, who decides the next one.
    fn enter_next_epoch(&mut self, members: &MembersProof, header: SealedHeader) -> Result<(), LightClientError> {
        let registry = self.registry.ok_or_else(|| self.wrong_epoch(header.number))?;
        // Where the registry holds no set, the old one goes on, as in every node.
        if let Ok(validators) = members.verify(registry, &header)? {
            self.validators = validators;
        }
        self.epoch = Epoch::of(Height::new(header.number).next(), self.epoch_length);
        self.header = header;
        Ok(())
    }

    fn wrong_epoch(&self, number: u64) -> LightClientError {
        LightClientError::WrongEpoch { number, last: self.last_known() }
    }

    /// Whether a header of this epoch is final.
    fn verify(&self, header: Header, certificate: &CommitCertificate) -> Result<SealedHeader, LightClientError> {
        let header = header.seal_slow();
        let (number, hash, trusted) = (header.number, header.seal(), self.header.number);
        if number <= trusted {
            return Err(LightClientError::NotLater { number, trusted });
        }
        if number > self.last_known() {
            return Err(self.wrong_epoch(number));
        }
        check_subject(number, hash, certificate)?;
        let verified = certificate.verify(&self.validators, &self.context);
        verified.map_err(|error| LightClientError::Certificate { number, error })?;
        Ok(header)
    }

    /// The last height whose validators are known.
    pub fn last_known(&self) -> u64 {
        if self.registry.is_none() {
            return u64::MAX;
        }
        self.epoch.as_u64().saturating_add(1).saturating_mul(self.epoch_length)
    }
}

impl MembersProof {
    /// The members that the proof shows in the state of a header, which is trusted; the inner error is about what stands
    /// there.
    ///
    /// # Errors
    /// See [`LightClientError`].
    pub fn verify(
        &self,
        registry: Address,
        header: &SealedHeader,
    ) -> Result<Result<ValidatorSet, ValidatorSetError>, LightClientError> {
        let number = header.number;
        let account = Some(alloy_rlp::encode(self.account));
        check_path(header.state_root, keccak256(registry), account, &self.nodes)
            .map_err(|reason| LightClientError::AccountProof { number, reason })?;
        let mut slots = self.slots.iter();
        let members = read_members(|slot| {
            let failed = |reason| LightClientError::SlotProof { number, slot, reason };
            let SlotProof { value, nodes } = slots.next().ok_or_else(|| failed("it is missing".to_owned()))?;
            let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
            let key = keccak256(B256::from(slot));
            check_path(self.account.storage_root, key, leaf, nodes).map_err(failed)?;
            Ok(*value)
        })?;
        match slots.len() {
            0 => Ok(members),
            extra => {
                let given = self.slots.len();
                Err(LightClientError::ExtraSlots { number, given, needed: given - extra })
            }
        }
    }
}

/// A certificate must be for the header that it comes with.
fn check_subject(number: u64, hash: B256, certificate: &CommitCertificate) -> Result<(), LightClientError> {
    let (certified, certified_height) = (certificate.block_hash, certificate.height.as_u64());
    if certified == hash && certified_height == number {
        return Ok(());
    }
    Err(LightClientError::OtherBlock { certified, certified_height, number, hash })
}

fn check_path(root: B256, key: B256, leaf: Option<Vec<u8>>, nodes: &[Bytes]) -> Result<(), String> {
    if nodes.len() > PROOF_NODES_MAX {
        return Err(format!("it has {} nodes, at most {PROOF_NODES_MAX} are on a path", nodes.len()));
    }
    verify_proof(root, Nibbles::unpack_array(&key), leaf, nodes)
        .map_err(|error: ProofVerificationError| error.to_string())
}
