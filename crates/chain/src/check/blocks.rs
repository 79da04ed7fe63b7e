//! Blocks by number: headers, bodies, receipts, certificates, and what they put into the indices.

use crate::block_store::{BodyRow, BodyRowRef, LookupRow, META_BLOCKS_FROM, META_HEADERS_FROM};
use crate::verify::recover;
use crate::{Chain, ChainError};
use alloy_consensus::proofs::calculate_receipt_root;
use alloy_primitives::{B256, Bloom, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use heddle_evm::validate_body;
use heddle_primitives::{Block, CommitCertificate, Evidence, Header, Height, Receipt, consensus_root};
use heddle_state::{CheckObserver, CheckProgress, Findings};
use heddle_storage::{Snapshot, Table};

/// Blocks between two reports of progress.
const BLOCKS_BETWEEN_REPORTS: u64 = 256;

/// What the blocks come to.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The number of the first block, and of the last.
    pub(super) first: u64,
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) state_root: B256,
    pub(super) total_difficulty: U256,
    /// The first block behind genesis that has a certificate, and the first that has a body and receipts.
    pub(super) certified_from: u64,
    pub(super) bodies_from: u64,
    /// How many headers there are.
    pub(super) headers: u64,
    /// How many bodies there must be, with as many lists of receipts.
    pub(super) bodies: u64,
    /// How many transactions there are.
    pub(super) transactions: u64,
    /// How many certificates there must be.
    pub(super) certificates: u64,
}

impl Last {
    /// Whether there must be a body of block `number`.
    pub(super) fn has_body(&self, number: u64) -> bool {
        number == self.first || (self.bodies_from..=self.number).contains(&number)
    }

    /// Whether there must be a certificate of block `number`, on a chain whose blocks have one.
    pub(super) fn has_certificate(&self, number: u64) -> bool {
        number != self.first && (self.certified_from..=self.number).contains(&number)
    }
}

/// Checks the blocks from genesis to the last header. Behind genesis headers may be missing up to a state that was adopted;
/// the one with which they begin again is known by those after it.
pub(super) fn check(
    chain: &Chain,
    snapshot: &Snapshot,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<Last, ChainError> {
    let first = chain.genesis().header().number;
    let (certified_from, bodies_from) = beginning(chain, first, findings)?;
    let last = Last { first, certified_from, bodies_from, ..Last::default() };
    let mut check = BlockCheck { chain, snapshot, findings, last, certificate: None };
    let mut expected = first;
    for row in snapshot.scan(Table::Headers, &[])? {
        let (key, row) = row?;
        let number = key.as_slice().try_into().map(u64::from_be_bytes).ok();
        let Some(number) = number.filter(|number| *number >= expected) else {
            check.findings.add(Table::Headers, &key, "not the number of a block");
            continue;
        };
        let is_beginning = expected == first.saturating_add(1) && number <= certified_from;
        if number > expected && is_beginning {
            check.last.hash = read::<Header>(&row).map(|header| header.parent_hash).unwrap_or_default();
            check.certificate = None;
        } else if number > expected {
            let problem = format!("the row is missing, and so are those up to block {number}");
            check.findings.add(Table::Headers, &expected.to_be_bytes(), problem);
        }
        expected = number.saturating_add(1);
        check.block(number, &row)?;
        if number % BLOCKS_BETWEEN_REPORTS == 0 {
            observer(CheckProgress { table: Table::Headers, rows: number - first });
        }
    }
    Ok(check.last)
}

/// The first block behind genesis with a certificate, and the first with a body.
fn beginning(chain: &Chain, first: u64, findings: &mut Findings) -> Result<(u64, u64), ChainError> {
    let blocks = &chain.inner.blocks;
    let mut read = |key: &[u8], found: Result<Option<u64>, ChainError>| match found {
        Ok(None) => first.saturating_add(1),
        Ok(Some(from)) if from > first.saturating_add(1) => from,
        _ => {
            findings.add(Table::Meta, key, "not the number of a block behind the first");
            first.saturating_add(1)
        }
    };
    let certified_from = read(META_HEADERS_FROM, blocks.headers_from());
    let bodies_from = read(META_BLOCKS_FROM, blocks.blocks_from());
    let is_above = certified_from >= bodies_from && certified_from > first.saturating_add(1);
    if is_above && !chain.lacks_members(certified_from - 1)? {
        findings.add(Table::Meta, META_HEADERS_FROM, "the parent of the oldest block has no certificate");
    }
    // With the oldest block came its parent's certificate.
    Ok((certified_from.min((bodies_from - 1).max(first.saturating_add(1))), bodies_from))
}

struct BlockCheck<'a> {
    chain: &'a Chain,
    snapshot: &'a Snapshot,
    findings: &'a mut Findings,
    last: Last,
    /// The certificate of the last block, which the next header binds.
    certificate: Option<CommitCertificate>,
}

impl BlockCheck<'_> {
    fn block(&mut self, number: u64, row: &[u8]) -> Result<(), ChainError> {
        let key = number.to_be_bytes();
        let Some(header) = read::<Header>(row).filter(|header| header.number == number) else {
            self.findings.add(Table::Headers, &key, "not the header of this block");
            return Ok(());
        };
        let hash = keccak256(row);
        self.header(&header, hash)?;
        if self.row::<u64>(Table::HeaderNumbers, hash.as_slice())? != Some(number) {
            self.findings.add(Table::HeaderNumbers, hash.as_slice(), format!("not the number {number} of this block"));
        }
        self.certificate(&header, hash)?;
        self.last = Last {
            number,
            headers: self.last.headers + 1,
            hash,
            state_root: header.state_root,
            total_difficulty: self.last.total_difficulty.saturating_add(header.difficulty),
            ..std::mem::take(&mut self.last)
        };
        if !self.last.has_body(number) {
            return Ok(());
        }
        self.last.bodies += 1;
        self.receipts(&header)?;
        self.body(header)
    }

    fn header(&mut self, header: &Header, hash: B256) -> Result<(), ChainError> {
        let key = header.number.to_be_bytes();
        if header.number == self.last.first {
            if hash != self.chain.genesis().hash() {
                self.findings.add(Table::Headers, &key, "not the genesis header");
            }
        } else if header.parent_hash != self.last.hash {
            self.findings.add(Table::Headers, &key, "its parent is not the header before it");
        }
        let evidence = self.row::<Vec<Evidence>>(Table::Evidence, &key)?.unwrap_or_default();
        let expected = consensus_root(self.certificate.as_ref(), &evidence);
        let is_bound = self.chain.rules().is_heddle() && header.number > self.last.first;
        // What the header of a block without body binds may be evidence too.
        if is_bound
            && header.number >= self.last.bodies_from
            && header.parent_beacon_block_root.unwrap_or_default() != expected
        {
            let key = (header.number - 1).to_be_bytes();
            self.findings.add(Table::Certificates, &key, "not what the next header binds, or its evidence is not");
        }
        Ok(())
    }

    /// The genesis block has none, and neither has any block of a plain Ethereum chain.
    fn certificate(&mut self, header: &Header, hash: B256) -> Result<(), ChainError> {
        self.certificate = None;
        let is_certified = header.number != self.last.first && header.number >= self.last.certified_from;
        if !self.chain.rules().is_heddle() || !is_certified {
            return Ok(());
        }
        self.last.certificates += 1;
        let key = header.number.to_be_bytes();
        let Some(certificate) = self.row::<CommitCertificate>(Table::Certificates, &key)? else {
            self.findings.add(Table::Certificates, &key, "missing, or not a certificate");
            return Ok(());
        };
        let height = Height::new(header.number);
        let verified = certificate.verify(&*self.chain.validators(height)?, &self.chain.signing_context());
        if certificate.block_hash != hash || certificate.height != height || verified.is_err() {
            self.findings.add(Table::Certificates, &key, "it does not certify the block");
        }
        self.certificate = Some(certificate);
        Ok(())
    }

    fn receipts(&mut self, header: &Header) -> Result<(), ChainError> {
        let key = header.number.to_be_bytes();
        let Some(receipts) = self.row::<Vec<Receipt>>(Table::Receipts, &key)? else {
            self.findings.add(Table::Receipts, &key, "missing, or not receipts");
            return Ok(());
        };
        let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        if calculate_receipt_root(&receipts) != header.receipts_root || bloom != header.logs_bloom {
            self.findings.add(Table::Receipts, &key, "not the receipts that the header binds");
        }
        Ok(())
    }

    fn body(&mut self, header: Header) -> Result<(), ChainError> {
        let key = header.number.to_be_bytes();
        let row = self.snapshot.get(Table::Bodies, key)?.unwrap_or_default();
        let Some(BodyRow { body, senders }) = alloy_rlp::decode_exact(&row).ok() else {
            self.findings.add(Table::Bodies, &key, "missing, or not a body");
            return Ok(());
        };
        if alloy_rlp::encode(BodyRowRef { body: &body, senders: senders.clone() }) != row {
            self.findings.add(Table::Bodies, &key, "not encoded as it is written");
        }
        let block = Block { header, body };
        if let Err(error) = validate_body(self.chain.rules(), &block) {
            self.findings.add(Table::Bodies, &key, error);
        }
        match recover(self.chain.rules(), &block, &|_| None) {
            Ok(found) if found.iter().map(|transaction| transaction.signer()).eq(senders) => {}
            Ok(_) => self.findings.add(Table::Bodies, &key, "the senders are not those who signed"),
            Err(error) => self.findings.add(Table::Bodies, &key, error),
        }
        for (transaction, index) in block.body.transactions.iter().zip(0..) {
            self.last.transactions += 1;
            let hash = transaction.tx_hash();
            let expected = alloy_rlp::encode(LookupRow { number: block.header.number, index });
            if self.snapshot.get(Table::TransactionLookup, hash)?.as_ref() != Some(&expected) {
                let problem = format!("not the place {index} in block {}", block.header.number);
                self.findings.add(Table::TransactionLookup, hash.as_slice(), problem);
            }
        }
        Ok(())
    }

    fn row<T: Decodable + Encodable>(&self, table: Table, key: &[u8]) -> Result<Option<T>, ChainError> {
        Ok(self.snapshot.get(table, key)?.and_then(|row| read(&row)))
    }
}

/// Decodes what is encoded as it is written.
fn read<T: Decodable + Encodable>(row: &[u8]) -> Option<T> {
    alloy_rlp::decode_exact(row).ok().filter(|value| alloy_rlp::encode(value) == row)
}
