//! Ethereum's own block types, named once.

use crate::CommitCertificate;
use crate::vote::{decode_option, encode_option, option_length};
use alloy_consensus::{EthereumTxEnvelope, ReceiptEnvelope, TxEip4844, transaction::Recovered};
use alloy_primitives::{B256, Sealed};
use alloy_rlp::{BufMut, Decodable, Encodable};
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

/// A block on its way to a decision, with the certificate of its parent that its header binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedBlock {
    /// The block; consensus agrees on the hash of its header.
    pub block: Arc<Block>,
    /// The certificate whose digest is the header's `parentBeaconBlockRoot`; absent only when the parent is genesis.
    pub parent_certificate: Option<CommitCertificate>,
}

impl ProposedBlock {
    /// The hash of the header (computed at each call).
    pub fn hash(&self) -> B256 {
        self.block.header.hash_slow()
    }
}

impl ProposedBlock {
    fn payload_length(&self) -> usize {
        self.block.length() + option_length(&self.parent_certificate)
    }
}

impl Encodable for ProposedBlock {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.block.encode(out);
        encode_option(&self.parent_certificate, out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for ProposedBlock {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let payload = &mut alloy_rlp::Header::decode_bytes(buf, true)?;
        let block = Arc::new(Block::decode(payload)?);
        let proposed = Self { block, parent_certificate: decode_option(payload)? };
        if payload.is_empty() { Ok(proposed) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}
