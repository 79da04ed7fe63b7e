//! Ethereum's own block types, named once.

use crate::CommitCertificate;
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

impl Encodable for ProposedBlock {
    fn encode(&self, out: &mut dyn BufMut) {
        let certificates = Vec::from_iter(self.parent_certificate.clone());
        let payload_length = self.block.length() + certificates.length();
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.block.encode(out);
        certificates.encode(out);
    }

    fn length(&self) -> usize {
        let certificates = Vec::from_iter(self.parent_certificate.clone());
        let payload = self.block.length() + certificates.length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for ProposedBlock {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let block = Arc::new(Block::decode(&mut payload)?);
        let mut certificates = Vec::<CommitCertificate>::decode(&mut payload)?;
        if !payload.is_empty() || certificates.len() > 1 {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(Self { block, parent_certificate: certificates.pop() })
    }
}
