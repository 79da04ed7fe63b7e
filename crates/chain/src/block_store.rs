//! Committed blocks in their tables: the one place that knows how their rows are written.
//!
//! Numbers are keys in big-endian, so that a table is in the order of the chain; values are RLP.

use crate::block::BlockId;
use crate::{ChainError, StoredBlock, TransactionLocation};
use alloy_consensus::BlockBody;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Sealable, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use heddle_primitives::{
    Block, CommitCertificate, Epoch, Evidence, Header, MembersProof, Receipt, SealedHeader, Transaction, ValidatorSet,
};
use heddle_state::StateView;
use heddle_storage::{Batch, Database, Snapshot, Table};

/// Key in [`Table::Meta`] of the genesis hash.
pub(crate) const META_GENESIS: &[u8] = b"chain.genesis";
/// Key in [`Table::Meta`] of the genesis file: Keccak-256 of its JSON, then the JSON, because no hash of the chain covers
/// all of it.
pub(crate) const META_GENESIS_FILE: &[u8] = b"chain.genesis_file";
/// Key in [`Table::Meta`] of the head's number and hash.
pub(crate) const META_HEAD: &[u8] = b"chain.head";
/// Key in [`Table::Meta`] of the sum of all blocks' difficulties, on a chain that has any.
pub(crate) const META_TOTAL_DIFFICULTY: &[u8] = b"chain.total_difficulty";

/// Key in [`Table::Meta`] of the number of the oldest block with a row in [`Table::AccessLists`], when there is one.
pub(crate) const META_ACCESS_LISTS_FROM: &[u8] = b"chain.access_lists_from";

/// Key in [`Table::Meta`] of the number of the oldest header behind genesis with its certificate, and of the oldest block
/// with all that belongs to it: all later ones are there. No row when nothing is missing.
pub(crate) const META_HEADERS_FROM: &[u8] = b"chain.headers_from";
pub(crate) const META_BLOCKS_FROM: &[u8] = b"chain.blocks_from";
/// Key in [`Table::Meta`] of the block whose state is being adopted: while the row stands, the tables of the state hold
/// none.
pub(crate) const META_ADOPTING: &[u8] = b"chain.adopting";

/// The row of [`Table::Bodies`]: senders stand beside the transactions, because recovering them costs more than reading.
#[derive(RlpEncodable, RlpDecodable)]
pub(crate) struct BodyRow {
    pub(crate) body: BlockBody<Transaction>,
    pub(crate) senders: Vec<Address>,
}

/// [`BodyRow`] as it is written, without copying the transactions.
#[derive(RlpEncodable)]
pub(crate) struct BodyRowRef<'a> {
    pub(crate) body: &'a BlockBody<Transaction>,
    pub(crate) senders: Vec<Address>,
}

/// The row of [`Table::TransactionLookup`].
#[derive(RlpEncodable, RlpDecodable)]
pub(crate) struct LookupRow {
    pub(crate) number: u64,
    pub(crate) index: u64,
}

/// A block with all that is stored of it.
pub(crate) struct BlockRows<'a> {
    pub(crate) header: &'a SealedHeader,
    pub(crate) body: &'a BlockBody<Transaction>,
    pub(crate) senders: &'a [Address],
    pub(crate) receipts: &'a [Receipt],
}

/// Reads and writes blocks; writes go into a batch that the caller commits.
#[derive(Clone)]
pub(crate) struct BlockStore {
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// What is committed at each read.
    Database(Database),
    /// What one view sees.
    Snapshot(Snapshot),
}

impl BlockStore {
    /// The blocks that are committed at each read.
    pub(crate) fn new(database: Database) -> Self {
        Self { source: Source::Database(database) }
    }

    /// The blocks up to the one that a state is of, which may still be on its way to the disk.
    pub(crate) fn below(state: &StateView) -> Self {
        Self { source: Source::Snapshot(state.snapshot().clone()) }
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        Ok(match &self.source {
            Source::Database(database) => database.get(table, key)?,
            Source::Snapshot(snapshot) => snapshot.get(table, key)?,
        })
    }

    /// Genesis hash of the chain in this database; `None` when it is new.
    pub(crate) fn genesis_hash(&self) -> Result<Option<B256>, ChainError> {
        self.row(Table::Meta, META_GENESIS, "genesis hash")
    }

    /// The genesis file's JSON; `None` when the database is new, or older than this row.
    pub(crate) fn genesis_file(&self) -> Result<Option<Vec<u8>>, ChainError> {
        let Some(row) = self.get(Table::Meta, META_GENESIS_FILE)? else { return Ok(None) };
        match row.split_first_chunk::<32>() {
            Some((hash, json)) if keccak256(json) == hash => Ok(Some(json.to_vec())),
            _ => Err(ChainError::Corrupt("the genesis file row has another hash".to_owned())),
        }
    }

    /// The last committed block; `None` when the database is new.
    pub(crate) fn head(&self) -> Result<Option<BlockId>, ChainError> {
        self.row(Table::Meta, META_HEAD, "head")
    }

    /// The sum of the difficulties of all committed blocks.
    pub(crate) fn total_difficulty(&self) -> Result<U256, ChainError> {
        Ok(self.row(Table::Meta, META_TOTAL_DIFFICULTY, "total difficulty")?.unwrap_or_default())
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<SealedHeader>, ChainError> {
        let header: Option<Header> = self.row(Table::Headers, &number.to_be_bytes(), "header")?;
        Ok(header.map(Sealable::seal_slow))
    }

    /// The hash alone, without decoding the header.
    pub(crate) fn hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        Ok(self.get(Table::Headers, &number.to_be_bytes())?.map(keccak256))
    }

    pub(crate) fn number_of(&self, hash: B256) -> Result<Option<u64>, ChainError> {
        self.row(Table::HeaderNumbers, hash.as_slice(), "block number")
    }

    pub(crate) fn block(&self, number: u64) -> Result<Option<StoredBlock>, ChainError> {
        let Some(header) = self.header(number)? else { return Ok(None) };
        if self.is_bodiless(number)? {
            return Ok(None);
        }
        let row: Option<BodyRow> = self.row(Table::Bodies, &number.to_be_bytes(), "body")?;
        let BodyRow { body, senders } = row.ok_or_else(|| missing("body", number))?;
        let block = Block { header: header.inner().clone(), body };
        let size = block.length();
        Ok(Some(StoredBlock { header, block, senders, size }))
    }

    /// Whether the body of a block whose header is there is not.
    fn is_bodiless(&self, number: u64) -> Result<bool, ChainError> {
        let Some(oldest) = self.blocks_from()? else { return Ok(false) };
        Ok(number < oldest && self.hash(number)? != self.genesis_hash()?)
    }

    pub(crate) fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, ChainError> {
        self.row(Table::Receipts, &number.to_be_bytes(), "receipts")
    }

    pub(crate) fn certificate(&self, number: u64) -> Result<Option<CommitCertificate>, ChainError> {
        self.row(Table::Certificates, &number.to_be_bytes(), "certificate")
    }

    pub(crate) fn access_list(&self, number: u64) -> Result<Option<BlockAccessList>, ChainError> {
        self.row(Table::AccessLists, &number.to_be_bytes(), "access list")
    }

    pub(crate) fn access_list_rlp(&self, number: u64) -> Result<Option<Vec<u8>>, ChainError> {
        self.get(Table::AccessLists, &number.to_be_bytes())
    }

    pub(crate) fn transaction(&self, hash: B256) -> Result<Option<TransactionLocation>, ChainError> {
        let row: Option<LookupRow> = self.row(Table::TransactionLookup, hash.as_slice(), "transaction lookup")?;
        Ok(row.map(|LookupRow { number, index }| TransactionLocation { number, index }))
    }

    pub(crate) fn put_genesis_file(batch: &mut Batch, json: &str) {
        batch.put(Table::Meta, META_GENESIS_FILE, [keccak256(json).as_slice(), json.as_bytes()].concat());
    }

    pub(crate) fn put_genesis_hash(batch: &mut Batch, hash: B256) {
        batch.put(Table::Meta, META_GENESIS, alloy_rlp::encode(hash));
    }

    /// Writes the sum that `difficulty` has been added to; after the merge it stays what it was.
    pub(crate) fn put_total_difficulty(batch: &mut Batch, difficulty: U256, total: U256) {
        if !difficulty.is_zero() {
            batch.put(Table::Meta, META_TOTAL_DIFFICULTY, alloy_rlp::encode(total));
        }
    }

    /// Number of the oldest header with its certificate; `None` when none is missing.
    pub(crate) fn headers_from(&self) -> Result<Option<u64>, ChainError> {
        self.row(Table::Meta, META_HEADERS_FROM, "oldest header")
    }

    /// Number of the oldest block with all that belongs to it; `None` when none is missing.
    pub(crate) fn blocks_from(&self) -> Result<Option<u64>, ChainError> {
        self.row(Table::Meta, META_BLOCKS_FROM, "oldest block")
    }

    /// The block whose state is being adopted.
    pub(crate) fn adopting(&self) -> Result<Option<BlockId>, ChainError> {
        self.row(Table::Meta, META_ADOPTING, "adoption")
    }

    pub(crate) fn put_adopting(batch: &mut Batch, pivot: &SealedHeader) {
        let id = BlockId { number: pivot.number, hash: pivot.seal() };
        batch.put(Table::Meta, META_ADOPTING, alloy_rlp::encode(id));
    }

    /// Writes a block with its indices, and makes it the head.
    pub(crate) fn put_head(batch: &mut Batch, rows: &BlockRows<'_>) {
        Self::put_head_header(batch, rows.header);
        Self::put_body(batch, rows);
    }

    /// Makes a block the head.
    pub(crate) fn put_head_header(batch: &mut Batch, header: &SealedHeader) {
        Self::put_header(batch, header);
        let id = BlockId { number: header.number, hash: header.seal() };
        batch.put(Table::Meta, META_HEAD, alloy_rlp::encode(id));
    }

    /// Writes a header with its index.
    pub(crate) fn put_header(batch: &mut Batch, header: &SealedHeader) {
        let number = header.number;
        batch.put(Table::Headers, number.to_be_bytes(), alloy_rlp::encode(header.inner()));
        batch.put(Table::HeaderNumbers, header.seal().as_slice(), alloy_rlp::encode(number));
    }

    /// Writes what a block has beside its header, with its index.
    pub(crate) fn put_body(batch: &mut Batch, rows: &BlockRows<'_>) {
        let BlockRows { header, body, senders, receipts } = rows;
        let number = header.number;
        let key = number.to_be_bytes();
        let body_row = BodyRowRef { body, senders: senders.to_vec() };
        batch.put(Table::Bodies, key, alloy_rlp::encode(body_row));
        let mut receipts_rlp = Vec::new();
        alloy_rlp::encode_list(receipts, &mut receipts_rlp);
        batch.put(Table::Receipts, key, receipts_rlp);
        for (transaction, index) in body.transactions.iter().zip(0..) {
            let row = alloy_rlp::encode(LookupRow { number, index });
            batch.put(Table::TransactionLookup, transaction.tx_hash().as_slice(), row);
        }
    }

    /// The validators of `epoch`, where they are not those of genesis.
    pub(crate) fn validators(&self, epoch: Epoch) -> Result<Option<ValidatorSet>, ChainError> {
        let found = match &self.source {
            Source::Database(database) => database.snapshot().seek(Table::ValidatorSets, &epoch_key(epoch))?,
            Source::Snapshot(snapshot) => snapshot.seek(Table::ValidatorSets, &epoch_key(epoch))?,
        };
        found.map(|(key, row)| decode(&key, &row, "validator set")).transpose()
    }

    /// Writes the validators from `epoch` on.
    pub(crate) fn put_validators(batch: &mut Batch, epoch: Epoch, validators: &ValidatorSet) {
        batch.put(Table::ValidatorSets, epoch_key(epoch), alloy_rlp::encode(validators));
    }

    /// The proof of the validators that come after `epoch`, in the state after its last block.
    pub(crate) fn epoch_proof(&self, epoch: Epoch) -> Result<Option<MembersProof>, ChainError> {
        self.row(Table::EpochProofs, &epoch.as_u64().to_be_bytes(), "epoch proof")
    }

    pub(crate) fn put_epoch_proof(batch: &mut Batch, epoch: Epoch, members: &MembersProof) {
        batch.put(Table::EpochProofs, epoch.as_u64().to_be_bytes(), alloy_rlp::encode(members));
    }

    /// The evidence in a block.
    pub(crate) fn evidence(&self, number: u64) -> Result<Vec<Evidence>, ChainError> {
        Ok(self.row(Table::Evidence, &number.to_be_bytes(), "evidence")?.unwrap_or_default())
    }

    pub(crate) fn put_evidence(batch: &mut Batch, number: u64, evidence: &[Evidence]) {
        if !evidence.is_empty() {
            let mut row = Vec::new();
            alloy_rlp::encode_list(evidence, &mut row);
            batch.put(Table::Evidence, number.to_be_bytes(), row);
        }
    }

    pub(crate) fn put_certificate(batch: &mut Batch, certificate: &CommitCertificate) {
        let key = certificate.height.as_u64().to_be_bytes();
        batch.put(Table::Certificates, key, alloy_rlp::encode(certificate));
    }

    /// Number of the oldest block whose access list is kept; `None` when no list is. Those of all later ones are.
    pub(crate) fn access_lists_from(&self) -> Result<Option<u64>, ChainError> {
        self.row(Table::Meta, META_ACCESS_LISTS_FROM, "oldest access list")
    }

    /// Writes the list of block `number`, and removes those of blocks that are not among the last `kept`: one, unless
    /// there were more before.
    pub(crate) fn put_access_list(
        &self,
        batch: &mut Batch,
        number: u64,
        list: &BlockAccessList,
        kept: u64,
    ) -> Result<(), ChainError> {
        let oldest = self.access_lists_from()?.unwrap_or(number);
        let first_kept = number.saturating_add(1).saturating_sub(kept).max(oldest);
        for leaving in oldest..first_kept.min(number) {
            batch.delete(Table::AccessLists, leaving.to_be_bytes());
        }
        if kept == 0 {
            batch.delete(Table::Meta, META_ACCESS_LISTS_FROM);
        } else {
            batch.put(Table::AccessLists, number.to_be_bytes(), alloy_rlp::encode(list));
            batch.put(Table::Meta, META_ACCESS_LISTS_FROM, alloy_rlp::encode(first_kept));
        }
        Ok(())
    }

    /// Reads and decodes one row; one that does not decode means a damaged database.
    fn row<T: Decodable>(&self, table: Table, key: &[u8], what: &str) -> Result<Option<T>, ChainError> {
        let Some(bytes) = self.get(table, key)? else { return Ok(None) };
        decode(key, &bytes, what).map(Some)
    }
}

pub(crate) fn decode<T: Decodable>(key: &[u8], row: &[u8], what: &str) -> Result<T, ChainError> {
    alloy_rlp::decode_exact(row)
        .map_err(|error| ChainError::Corrupt(format!("{what} row {}: {error}", alloy_primitives::hex::encode(key))))
}

/// Later epochs come first.
pub(crate) fn epoch_key(epoch: Epoch) -> [u8; 8] {
    (!epoch.as_u64()).to_be_bytes()
}

/// A row that must exist beside others does not.
pub(crate) fn missing(what: &str, number: u64) -> ChainError {
    ChainError::Corrupt(format!("block {number} has no {what}"))
}
