//! Who decides, who signed, and who contradicted itself.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, U64};
use heddle_chain::ChainError;
use heddle_primitives::{CommitCertificate, Epoch, Evidence, Height, Validator, ValidatorAddress};
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;

/// Pieces of evidence that wait for a block, of one answer at most.
const PENDING_LISTED_MAX: usize = 256;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("heddle_getValidators", &["block"], validators)?;
    registry.read("heddle_getCommit", &["block"], commit)?;
    registry.scan("heddle_getEvidence", &["fromBlock", "toBlock"], evidence)
}

/// The validators of a height.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validators {
    number: U64,
    epoch: U64,
    total_power: U64,
    /// By address.
    validators: Vec<Member>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    address: ValidatorAddress,
    public_key: B256,
    power: U64,
    fee_recipient: Address,
}

impl From<&Validator> for Member {
    fn from(member: &Validator) -> Self {
        let Validator { address, public_key, power, fee_recipient } = member;
        let (public_key, power) = (public_key.to_bytes().into(), U64::from(*power));
        Self { address: *address, public_key, power, fee_recipient: *fee_recipient }
    }
}

/// Who decides a height: by default that of the last block, with `pending` the one after it; `null` where that is not
/// known yet, which it is to the end of the present epoch.
fn validators(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Validators>, MethodError> {
    let tag: BlockNumberOrTag = arguments.optional()?.unwrap_or_default();
    let head = backend.head_number();
    let number = match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Pending => head.saturating_add(1),
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Latest | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized => head,
    };
    let height = Height::new(number);
    let set = match backend.chain.validators(height) {
        Err(ChainError::UnknownBlock { .. }) => return Ok(None),
        set => set?,
    };
    let length = backend.chain.genesis().heddle().map_or(0, |heddle| heddle.epoch_length);
    Ok(Some(Validators {
        number: U64::from(number),
        epoch: U64::from(Epoch::of(height, length).as_u64()),
        total_power: U64::from(set.total_power()),
        validators: set.validators().iter().map(Member::from).collect(),
    }))
}

/// Why a block is final.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    height: U64,
    round: U64,
    block_hash: B256,
    /// By validator.
    signatures: Vec<Precommit>,
}

#[derive(Serialize)]
struct Precommit {
    validator: ValidatorAddress,
    signature: Bytes,
}

impl From<CommitCertificate> for Commit {
    fn from(certificate: CommitCertificate) -> Self {
        let precommit = |signature: &heddle_primitives::CommitSignature| Precommit {
            validator: signature.validator,
            signature: signature.signature.as_bytes().to_vec().into(),
        };
        Self {
            height: U64::from(certificate.height.as_u64()),
            round: U64::from(certificate.round.as_u32()),
            block_hash: certificate.block_hash,
            signatures: certificate.signatures.iter().map(precommit).collect(),
        }
    }
}

/// The certificate that the next block binds, and of the last block this node's own; `null` for a block that is not
/// there, and for genesis, which nobody certified.
fn commit(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<Commit>, MethodError> {
    let tag: BlockNumberOrTag = arguments.required()?;
    let Some(number) = backend.number_of_tag(tag) else { return Ok(None) };
    Ok(backend.chain.certificate(number)?.map(Commit::from))
}

/// What is known of validators that contradicted themselves.
#[derive(Serialize)]
struct AllEvidence {
    /// What no block has yet, of whatever height.
    pending: Vec<EvidenceObject>,
    /// What the blocks asked for have.
    included: Vec<EvidenceObject>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceObject {
    /// The block that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_number: Option<U64>,
    hash: B256,
    kind: &'static str,
    validator: ValidatorAddress,
    height: U64,
    round: U64,
    /// Both messages with their signatures, in RLP: whoever has the validators of the height can verify them.
    raw: Bytes,
}

impl EvidenceObject {
    fn new(block_number: Option<u64>, evidence: &Evidence) -> Self {
        Self {
            block_number: block_number.map(U64::from),
            hash: evidence.digest(),
            kind: match evidence {
                Evidence::Votes(_) => "votes",
                Evidence::Proposals(_) => "proposals",
            },
            validator: evidence.validator(),
            height: U64::from(evidence.height().as_u64()),
            round: U64::from(evidence.round().as_u32()),
            raw: alloy_rlp::encode(evidence).into(),
        }
    }
}

/// By default of as many of the last blocks as one answer may be about, and as are there.
fn evidence(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<AllEvidence, MethodError> {
    let blocks_max = backend.limits.logs.blocks_max;
    let from: Option<BlockNumberOrTag> = arguments.optional()?;
    let to: BlockNumberOrTag = arguments.optional()?.unwrap_or_default();
    let number_of = |tag| backend.number_of_tag(tag).unwrap_or_else(|| tag.as_number().unwrap_or_default());
    let to = number_of(to);
    let last = || to.saturating_sub(blocks_max.saturating_sub(1)).max(backend.chain.blocks_from().min(to));
    let from = from.map_or_else(last, number_of);
    let included = backend.chain.evidence(from, to, blocks_max)?;
    let pending = backend.chain.pending_evidence(PENDING_LISTED_MAX);
    Ok(AllEvidence {
        pending: pending.iter().map(|evidence| EvidenceObject::new(None, evidence)).collect(),
        included: included.iter().map(|(number, evidence)| EvidenceObject::new(Some(*number), evidence)).collect(),
    })
}
