//! Ethereum's own block types, named once.

use crate::enveloped::Enveloped;
use crate::vote::{decode_option, encode_option, option_length};
use crate::{CommitCertificate, DependencyHints, EVIDENCE_PER_BLOCK_MAX, EncodedAccessList, Evidence};
use alloy_consensus::{EthereumTxEnvelope, ReceiptEnvelope, TxEip4844, transaction::Recovered};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{B256, Sealed};
use alloy_rlp::{BufMut, Decodable, Encodable};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A block header, hashed with Keccak-256 of its RLP.
pub type Header = alloy_consensus::Header;
/// A header with its hash.
pub type SealedHeader = Sealed<Header>;
/// A signed transaction as blocks hold it (a blob transaction without its sidecar).
pub type Transaction = EthereumTxEnvelope<TxEip4844>;
/// A transaction with its recovered sender: another type than the received one.
pub type RecoveredTransaction = Recovered<Transaction>;
/// A block: header, transactions, ommers, withdrawals.
pub type Block = alloy_consensus::Block<Transaction>;
/// A typed receipt with its bloom.
pub type Receipt = ReceiptEnvelope;

/// A block on its way to a decision, with the certificate of its parent that its header binds, and what helps to execute
/// it: neither hints nor list change its result, or whether it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedBlock {
    /// The block; consensus agrees on the hash of its header.
    pub block: Arc<Block>,
    /// The parent's certificate, which the header binds ([`consensus_root`]); absent only when the parent is genesis.
    pub parent_certificate: Option<CommitCertificate>,
    /// Validators convicted by this block, which the header binds too: at most [`EVIDENCE_PER_BLOCK_MAX`].
    pub evidence: Vec<Evidence>,
    /// Which transactions wait for which, at most one hint a transaction. Nothing binds them.
    pub hints: DependencyHints,
    /// The block's access list (EIP-7928), where it came along; to be held against the header by
    /// [`Self::check_access_list`].
    pub access_list: Option<EncodedAccessList>,
}

/// An access list that is not the block's. Always the fault of whoever sent it: the header binds the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access list has hash {found}, the header binds {}", bound.map_or("none".to_owned(), |hash| hash.to_string()))]
pub struct AccessListMismatch {
    /// Keccak-256 of the list's RLP.
    pub found: B256,
    /// What [`bound_access_list`] finds in the header.
    pub bound: Option<B256>,
}

/// Hash of the access list that the header of a Heddle chain's block binds: in its own field from Amsterdam on, before
/// that as extra data. Of another chain's header before Amsterdam it means nothing.
pub fn bound_access_list(header: &Header) -> Option<B256> {
    header.block_access_list_hash.or_else(|| B256::try_from(header.extra_data.as_ref()).ok())
}

/// What a header's `parentBeaconBlockRoot` is: the digest of the parent's certificate (zero after genesis, which nobody
/// certified) and, where the block convicts somebody, SHA-256 of that digest and of SHA-256 of the evidence's RLP.
pub fn consensus_root(parent_certificate: Option<&CommitCertificate>, evidence: &[Evidence]) -> B256 {
    let certificate = parent_certificate.map(CommitCertificate::digest).unwrap_or_default();
    if evidence.is_empty() {
        return certificate;
    }
    let mut encoded = Vec::new();
    alloy_rlp::encode_list(evidence, &mut encoded);
    B256::from_slice(&Sha256::new().chain_update(certificate).chain_update(Sha256::digest(encoded)).finalize())
}

impl ProposedBlock {
    /// A block without evidence and without anything that helps to execute it.
    pub fn new(block: Arc<Block>, parent_certificate: Option<CommitCertificate>) -> Self {
        let (evidence, hints) = (Vec::new(), DependencyHints::default());
        Self { block, parent_certificate, evidence, hints, access_list: None }
    }

    /// The hash of the header (computed at each call).
    pub fn hash(&self) -> B256 {
        self.block.header.hash_slow()
    }

    /// Whether the access list, if there is one, is the one that the header binds. Hashes the list at each call.
    ///
    /// # Errors
    /// [`AccessListMismatch`], which says nothing about the block.
    pub fn check_access_list(&self) -> Result<(), AccessListMismatch> {
        let Some(list) = &self.access_list else { return Ok(()) };
        let (found, bound) = (list.hash(), bound_access_list(&self.block.header));
        if bound == Some(found) { Ok(()) } else { Err(AccessListMismatch { found, bound }) }
    }

    /// The access list, if one came along that is the one the header binds. Hashes and decodes it at each call.
    pub fn bound_access_list(&self) -> Option<BlockAccessList> {
        let list = self.access_list.as_ref().filter(|_| self.check_access_list().is_ok())?;
        // A header may bind what is no list: its block is invalid, which execution finds.
        list.decode_list().ok()
    }

    /// Whether hints stand in the encoding: they do unless nothing but absent values would follow.
    fn encodes_hints(&self) -> bool {
        !self.hints.is_empty() || self.access_list.is_some()
    }

    fn payload_length(&self) -> usize {
        let hints = if self.encodes_hints() { self.hints.length() } else { 0 };
        let access_list = self.access_list.as_ref().map_or(0, |list| list.length());
        let evidence = alloy_rlp::list_length(&self.evidence);
        self.block.length() + option_length(&self.parent_certificate) + evidence + hints + access_list
    }
}

/// A list of block, parent certificate, evidence, hints and access list, of which the last two are left out where nothing
/// follows.
impl Encodable for ProposedBlock {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.block.encode(out);
        encode_option(&self.parent_certificate, out);
        alloy_rlp::encode_list(&self.evidence, out);
        if self.encodes_hints() {
            self.hints.encode(out);
        }
        if let Some(list) = &self.access_list {
            list.encode(out);
        }
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for ProposedBlock {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let payload = &mut alloy_rlp::Header::decode_bytes(buf, true)?;
        let block = alloy_consensus::Block::<Enveloped<Transaction>>::decode(payload)?;
        let block = Arc::new(block.map_transactions(Enveloped::into_inner));
        let mut proposed = Self::new(block, decode_option(payload)?);
        proposed.evidence = Vec::decode(payload)?;
        if proposed.evidence.len() > EVIDENCE_PER_BLOCK_MAX {
            return Err(alloy_rlp::Error::Custom("a block has at most 4 pieces of evidence"));
        }
        if payload.is_empty() {
            return Ok(proposed);
        }
        proposed.hints = DependencyHints::decode(payload)?;
        if proposed.hints.len() > proposed.block.body.transactions.len() {
            return Err(alloy_rlp::Error::Custom("more hints than transactions"));
        }
        if !payload.is_empty() {
            proposed.access_list = Some(EncodedAccessList::decode(payload)?);
        }
        // What stood there must be what would be written.
        if payload.is_empty() && proposed.encodes_hints() {
            return Ok(proposed);
        }
        Err(alloy_rlp::Error::UnexpectedLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_ACCESS_LIST_BYTES, decode_exact};
    use alloy_consensus::{Signed, TxLegacy};
    use alloy_eips::eip7928::{AccountChanges, BalanceChange, BlockAccessIndex};
    use alloy_primitives::{Address, Signature, U256};
    use proptest::prelude::*;

    fn block(transactions: usize) -> Block {
        let signed = Signed::new_unhashed(TxLegacy::default(), Signature::test_signature());
        let mut block = Block::default();
        block.body.transactions = vec![Transaction::Legacy(signed); transactions];
        block
    }

    fn list(accounts: u8) -> BlockAccessList {
        let change = |n: u8| BalanceChange::new(BlockAccessIndex::new(n.into()), U256::from(n));
        let account = |n: u8| AccountChanges {
            balance_changes: vec![change(n)],
            storage_reads: vec![U256::from(n)],
            ..AccountChanges::new(Address::repeat_byte(n))
        };
        (0..accounts).map(account).collect()
    }

    fn decode(bytes: &[u8]) -> alloy_rlp::Result<ProposedBlock> {
        decode_exact(bytes, usize::MAX)
    }

    /// A list of these items as they are.
    fn raw(items: &[&dyn Encodable]) -> Vec<u8> {
        let payload: Vec<u8> = items.iter().flat_map(|item| alloy_rlp::encode(*item)).collect();
        let mut bytes = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut bytes);
        [bytes, payload].concat()
    }

    proptest! {
        #[test]
        fn what_helps_to_execute_has_one_encoding(
            distances in proptest::collection::vec(any::<u32>(), 0..4),
            accounts in proptest::option::of(0..4u8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut proposed = ProposedBlock::new(Arc::new(block(3)), None);
            proposed.hints = DependencyHints::new(distances);
            proposed.access_list = accounts.map(|accounts| EncodedAccessList::new(&list(accounts)));
            let bytes = alloy_rlp::encode(&proposed);
            prop_assert_eq!(bytes.len(), proposed.length());
            prop_assert_eq!(decode(&bytes), Ok(proposed));
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(decode(&[&bytes[..], &[0x80]].concat()).is_err());
        }
    }

    #[test]
    fn absent_help_takes_no_room() {
        let no_certificate = Vec::<u8>::new();
        let bytes = raw(&[&block(1), &no_certificate, &no_certificate]);
        assert_eq!(alloy_rlp::encode(ProposedBlock::new(Arc::new(block(1)), None)), bytes);
    }

    #[test]
    fn other_encodings_are_refused() {
        let (block, none) = (block(1), Vec::<u8>::new());
        let hints = |distances| DependencyHints::new(distances);
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![1])])).is_ok());
        assert!(
            decode(&raw(&[&block, &none, &none, &hints(vec![])])).is_err(),
            "absent hints with nothing behind them"
        );
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![0, 1])])).is_err(), "more hints than transactions");
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![]), &list(1)])).is_ok());
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![]), &list(1), &list(1)])).is_err(), "an item too many");
        let mut large = list(1);
        large[0].storage_reads = vec![U256::MAX; MAX_ACCESS_LIST_BYTES / 33];
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![]), &large])).is_err(), "a list beyond the bound");
        assert!(decode(&raw(&[&block, &none, &none, &hints(vec![]), &1u8])).is_err(), "no list");
    }

    #[test]
    fn a_list_is_held_against_what_the_header_binds() {
        let hash = EncodedAccessList::new(&list(2)).hash();
        let proposed = |alter: &dyn Fn(&mut Header), accounts| {
            let mut block = block(0);
            alter(&mut block.header);
            let access_list = Some(EncodedAccessList::new(&list(accounts)));
            ProposedBlock { access_list, ..ProposedBlock::new(Arc::new(block), None) }
        };
        let before_amsterdam = |header: &mut Header| header.extra_data = hash.into();
        let in_amsterdam = |header: &mut Header| header.block_access_list_hash = Some(hash);
        assert_eq!(proposed(&before_amsterdam, 2).check_access_list(), Ok(()));
        assert_eq!(proposed(&before_amsterdam, 2).bound_access_list(), Some(list(2)));
        assert_eq!(proposed(&before_amsterdam, 1).bound_access_list(), None);
        assert_eq!(proposed(&in_amsterdam, 2).check_access_list(), Ok(()));
        let error = proposed(&in_amsterdam, 1).check_access_list().unwrap_err();
        assert_eq!(error.bound, Some(hash));
        assert!(error.to_string().ends_with(&format!("the header binds {hash}")), "{error}");
        assert_eq!(proposed(&|_| (), 2).check_access_list().unwrap_err().bound, None);
        assert_eq!(ProposedBlock::new(Arc::new(block(0)), None).check_access_list(), Ok(()));
    }
}
