//! Valid messages of every kind, from which the fuzzer starts.

use alloy_consensus::{
    BlockBody, Eip658Value, Receipt as PlainReceipt, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702,
    TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256};
use heddle_primitives::*;
use std::sync::Arc;

/// A target's name, what it does with bytes (`true` when it accepts them), and named seeds.
pub type Target = (&'static str, fn(&[u8]) -> bool, Vec<(&'static str, Vec<u8>)>);

/// Every target of this crate.
pub fn all() -> Vec<Target> {
    vec![
        ("compact_finalized", crate::compact_finalized, finalized()),
        ("compact_proposal", crate::compact_proposal, proposals()),
        ("consensus_message", crate::consensus_message, consensus_messages()),
        ("pieces", crate::pieces, pieces()),
        ("request", crate::request, requests()),
        ("response", crate::response, responses()),
        ("transaction", crate::transaction, raw_transactions()),
        ("transaction_request", crate::transaction_request, transaction_requests()),
        ("transaction_response", crate::transaction_response, transaction_responses()),
    ]
}

const HASH: B256 = B256::repeat_byte(3);
const HEIGHT: Height = Height::new(5);
const ROUND: Round = Round::new(1);

fn encode(message: impl alloy_rlp::Encodable) -> Vec<u8> {
    alloy_rlp::encode(message)
}

fn signature() -> ConsensusSignature {
    ConsensusSignature::from_bytes([7; 64])
}

fn validator(number: u8) -> ValidatorAddress {
    ValidatorAddress::from([number; 20])
}

fn certificate() -> CommitCertificate {
    let sign = |number| CommitSignature { validator: validator(number), signature: signature() };
    CommitCertificate::new(HEIGHT, ROUND, HASH, (1..=3).map(sign).collect())
}

fn vote(kind: VoteKind, block_hash: Option<B256>) -> SignedVote {
    let vote = Vote { height: HEIGHT, round: ROUND, kind, block_hash, validator: validator(1) };
    SignedVote { vote, signature: signature() }
}

fn proposal(block_hash: B256, pol_round: Option<Round>) -> SignedProposal {
    let proposal = Proposal { height: HEIGHT, round: ROUND, block_hash, pol_round, validator: validator(1) };
    SignedProposal { proposal, signature: signature() }
}

fn evidence() -> [Evidence; 2] {
    let first = vote(VoteKind::Precommit, Some(HASH));
    let votes = Evidence::Votes(ConflictingPair { first, second: vote(VoteKind::Precommit, None) });
    let first = proposal(HASH, None);
    [votes, Evidence::Proposals(ConflictingPair { first, second: proposal(B256::ZERO, Some(Round::new(0))) })]
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    transaction.into_signed(Signature::test_signature()).into()
}

/// One transaction of each type.
fn transactions() -> Vec<Transaction> {
    let to = TxKind::Call(Address::repeat_byte(9));
    let item = AccessListItem { address: Address::repeat_byte(8), storage_keys: vec![HASH, B256::ZERO] };
    let (access_list, chain_id) = (AccessList(vec![item]), 31337);
    let authorization = Authorization { chain_id: U256::from(chain_id), address: Address::repeat_byte(6), nonce: 1 };
    let authorization = SignedAuthorization::new_unchecked(authorization, 1, U256::from(2), U256::from(3));
    vec![
        sign(TxLegacy { nonce: 1, gas_limit: 21_000, to, value: U256::from(5), ..TxLegacy::default() }),
        sign(TxLegacy { chain_id: Some(chain_id), input: vec![1, 2, 3].into(), ..TxLegacy::default() }),
        sign(TxEip2930 { chain_id, to, access_list: access_list.clone(), ..TxEip2930::default() }),
        sign(TxEip1559 {
            chain_id,
            to,
            max_fee_per_gas: 100,
            access_list: access_list.clone(),
            ..TxEip1559::default()
        }),
        sign(TxEip4844 { chain_id, blob_versioned_hashes: vec![HASH], ..TxEip4844::default() }),
        sign(TxEip7702 { chain_id, access_list, authorization_list: vec![authorization], ..TxEip7702::default() }),
    ]
}

fn header() -> Header {
    Header {
        number: HEIGHT.as_u64(),
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(alloy_consensus::constants::EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(HASH),
        requests_hash: Some(HASH),
        ..Header::default()
    }
}

fn proposed(transactions: Vec<Transaction>) -> ProposedBlock {
    let hints = (0..transactions.len() as u32).collect();
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Withdrawals::default()) };
    let block = Arc::new(Block { header: header(), body });
    let evidence = evidence().to_vec();
    let access_list = Some(EncodedAccessList::new(&Vec::new()));
    let parent_certificate = Some(certificate());
    ProposedBlock { block, parent_certificate, evidence, hints: DependencyHints::new(hints), access_list }
}

fn compact_blocks() -> [(&'static str, CompactBlock); 4] {
    let commitment = PieceCommitment { root: HASH, bytes: 600_000 };
    let empty = ProposedBlock::new(proposed(Vec::new()).block, None);
    [
        ("empty", CompactBlock::of(&empty, usize::MAX, None)),
        ("whole", CompactBlock::of(&proposed(transactions()), usize::MAX, None)),
        ("ids", CompactBlock::of(&proposed(transactions()), 0, None)),
        ("in_pieces", CompactBlock::of(&proposed(transactions()), 0, Some(commitment))),
    ]
}

fn finalized() -> Vec<(&'static str, Vec<u8>)> {
    let message = |block| encode(CompactFinalized { block, certificate: certificate() });
    compact_blocks().into_iter().map(|(name, block)| (name, message(block))).collect()
}

fn proposals() -> Vec<(&'static str, Vec<u8>)> {
    let message =
        |block: CompactBlock| encode(CompactProposal { proposal: proposal(block.hash(), Some(ROUND)), block });
    compact_blocks().into_iter().map(|(name, block)| (name, message(block))).collect()
}

fn consensus_messages() -> Vec<(&'static str, Vec<u8>)> {
    let [votes, proposals] = evidence().map(Box::new);
    let body = proposed(transactions());
    let full = Box::new(ProposalMessage { proposal: proposal(body.hash(), None), body });
    let signatures = certificate().signatures;
    let polka = PolkaCertificate::new(HEIGHT, ROUND, HASH, signatures);
    let signed = |kind, block_hash, number| RoundSignature {
        kind,
        block_hash,
        validator: validator(number),
        signature: signature(),
    };
    let signatures = vec![signed(VoteKind::Prevote, Some(HASH), 1), signed(VoteKind::Precommit, None, 2)];
    let round = RoundCertificate { height: HEIGHT, round: ROUND, kind: RoundCertificateKind::Skip, signatures };
    [
        ("prevote", ConsensusMessage::Vote(vote(VoteKind::Prevote, Some(HASH)))),
        ("precommit_nil", ConsensusMessage::Vote(vote(VoteKind::Precommit, None))),
        ("proposal", ConsensusMessage::Proposal(full)),
        ("polka", ConsensusMessage::PolkaCertificate(polka)),
        ("round", ConsensusMessage::RoundCertificate(round)),
        ("commit", ConsensusMessage::CommitCertificate(certificate())),
        ("evidence_votes", ConsensusMessage::Evidence(votes)),
        ("evidence_proposals", ConsensusMessage::Evidence(proposals)),
    ]
    .map(|(name, message)| (name, encode(message)))
    .to_vec()
}

/// A piece that its commitment holds, and one that it does not.
fn pieces() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = 20_000;
    let layout = PieceLayout::of(bytes);
    let shards = vec![vec![1; layout.shard_bytes]; layout.pieces()];
    let tree = PieceTree::new(&shards);
    let commitment = PieceCommitment { root: tree.root(), bytes: bytes as u32 };
    let piece = Piece { index: 1, shard: shards[1].clone().into(), path: tree.path(1) };
    assert!(commitment.holds(&piece));
    let short = Piece { shard: Bytes::from_static(b"shard"), ..piece.clone() };
    [("held", piece), ("too_short", short)]
        .map(|(name, piece)| (name, [encode(commitment), encode(piece)].concat()))
        .to_vec()
}

fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let range = BlocksRequest { from: HEIGHT, count: 64 };
    let indices: IndexSet = [0, 9, 70].into_iter().collect();
    let (first, last) = (B256::ZERO, B256::repeat_byte(0xff));
    let storage = StorageRequest { height: HEIGHT, accounts: vec![HASH, last], first, last };
    let in_block = BlockTransactionsRequest { block_hash: HASH, indices: indices.clone() };
    [
        ("status", Request::Status),
        ("blocks", Request::Blocks(range.clone())),
        ("headers", Request::Headers(range.clone())),
        ("receipts", Request::Receipts(range)),
        ("epoch_steps", Request::EpochSteps(EpochStepsRequest { from: Epoch::new(3), count: 2 })),
        ("snapshots", Request::Snapshots),
        ("accounts", Request::Accounts(AccountsRequest { height: HEIGHT, first, last })),
        ("storage", Request::Storage(storage)),
        ("code", Request::Code(CodeRequest { hashes: vec![HASH, last] })),
        ("range_proof", Request::RangeProof(RangeProofRequest { height: HEIGHT, owner: HASH, first, last })),
        ("block_transactions", Request::BlockTransactions(in_block)),
        ("block_pieces", Request::BlockPieces(BlockPiecesRequest { block_hash: HASH, root: HASH, indices })),
    ]
    .map(|(name, request)| (name, encode(request)))
    .to_vec()
}

fn members() -> MembersProof {
    let node = |byte| Bytes::from(vec![byte; 40]);
    let slot = |value, nodes: &[u8]| SlotProof {
        value: U256::from(value),
        nodes: nodes.iter().map(|byte| node(*byte)).collect(),
    };
    let slots = vec![slot(7, &[1, 2, 3]), slot(9, &[1, 2, 4]), slot(0, &[1, 5])];
    MembersProof { account: Default::default(), nodes: vec![node(8), node(9)], slots }
}

fn receipts() -> Vec<Receipt> {
    let data = LogData::new_unchecked(vec![HASH, B256::ZERO], Bytes::from_static(b"data"));
    let logs = vec![Log { address: Address::repeat_byte(9), data }];
    let receipt = PlainReceipt { status: Eip658Value::Eip658(true), cumulative_gas_used: 21_000, logs }.with_bloom();
    vec![
        Receipt::Legacy(receipt.clone()),
        Receipt::Eip2930(receipt.clone()),
        Receipt::Eip1559(receipt.clone()),
        Receipt::Eip4844(receipt.clone()),
        Receipt::Eip7702(receipt),
    ]
}

fn responses() -> Vec<(&'static str, Vec<u8>)> {
    let block = FinalizedBlock { proposed: proposed(transactions()), certificate: certificate() };
    let bare = CertifiedHeader { header: header(), certificate: certificate(), members: None };
    let proven = CertifiedHeader { members: Some(members()), ..bare.clone() };
    let step = EpochStep { header: header(), certificate: certificate(), members: members() };
    let nodes = vec![Bytes::from_static(b"one node"), Bytes::from_static(b"another")];
    let leaf = AccountLeaf { key: HASH, account: Default::default() };
    let slots = vec![SlotLeaf { key: HASH, value: U256::from(1) }];
    let piece = Piece { index: 3, shard: Bytes::from_static(b"shard"), path: vec![HASH; 2] };
    [
        ("status", Response::Status(Status { height: HEIGHT, hash: HASH, earliest: Height::GENESIS })),
        ("blocks", Response::Blocks(vec![block.clone(), block])),
        ("headers", Response::Headers(vec![bare, proven])),
        ("receipts", Response::Receipts(vec![receipts(), Vec::new()])),
        ("epoch_steps", Response::EpochSteps(vec![step])),
        ("snapshots", Response::Snapshots(vec![SnapshotOffer { height: HEIGHT, hash: HASH }])),
        ("accounts", Response::Accounts(AccountRange { accounts: vec![leaf], proof: nodes.clone() })),
        ("storage", Response::Storage(StorageRanges { accounts: vec![slots, Vec::new()], proof: nodes.clone() })),
        ("code", Response::Code(nodes.clone())),
        ("range_proof", Response::RangeProof(nodes)),
        ("block_transactions", Response::BlockTransactions(transactions())),
        ("block_pieces", Response::BlockPieces(vec![piece.clone(), piece])),
        ("refused", Response::Refused(Refusal::Busy)),
    ]
    .map(|(name, response)| (name, encode(response)))
    .to_vec()
}

fn raw_transactions() -> Vec<(&'static str, Vec<u8>)> {
    let names = ["legacy", "legacy_eip155", "eip2930", "eip1559", "eip4844", "eip7702"];
    names.into_iter().zip(transactions().iter().map(Encodable2718::encoded_2718)).collect()
}

fn batch() -> TransactionBatch {
    TransactionBatch(transactions().iter().map(|transaction| transaction.encoded_2718().into()).collect())
}

fn transaction_requests() -> Vec<(&'static str, Vec<u8>)> {
    let announced = [100, 4_000].map(|bytes| TransactionAnnouncement { hash: HASH, bytes });
    [
        ("announce", TransactionRequest::Announce(announced.to_vec())),
        ("push", TransactionRequest::Push(batch())),
        ("fetch", TransactionRequest::Fetch(vec![HASH, B256::ZERO])),
    ]
    .map(|(name, request)| (name, encode(request)))
    .to_vec()
}

fn transaction_responses() -> Vec<(&'static str, Vec<u8>)> {
    [("ack", TransactionResponse::Ack), ("transactions", TransactionResponse::Transactions(batch()))]
        .map(|(name, response)| (name, encode(response)))
        .to_vec()
}
