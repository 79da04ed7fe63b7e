//! The tables and what their keys and values are.

/// A table: a RocksDB column family. Numbers in keys are 8 bytes big-endian, so that rows sort by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single rows by name; a name starts with its owner (`storage.`, `state.`, `chain.`).
    Meta,
    /// Block number -> header RLP.
    Headers,
    /// Block hash -> block number.
    HeaderNumbers,
    /// Block number -> body.
    Bodies,
    /// Block number -> receipts.
    Receipts,
    /// Block number -> commit certificate RLP.
    Certificates,
    /// Transaction hash -> block number, index in the block.
    TransactionLookup,
    /// Hash of an address -> account RLP, at the last committed block.
    Accounts,
    /// Hash of an address, hash of a slot -> value, at the last committed block; zero is no row.
    Storage,
    /// Code hash -> code.
    Code,
    /// Hash of an address, block number -> the account before that block; empty when there was none.
    AccountHistory,
    /// Hash of an address, hash of a slot, block number -> the value before that block; empty when it was zero.
    StorageHistory,
    /// Block number -> the keys with a history row of that block, so that they can be pruned, and a digest of those rows.
    ChangeSets,
    /// Trie, path -> the branch there, at the last committed block; leaves are in the flat tables.
    TrieNodes,
    /// Block number -> access list RLP (EIP-7928), of the last blocks only.
    AccessLists,
    /// Epoch, inverted so that the latest one at or before another is found by seeking -> validator set RLP, where it is
    /// another one than before.
    ValidatorSets,
    /// Block number -> the evidence in the block, where there is any.
    Evidence,
    /// Validator address -> evidence RLP that no block has yet.
    PendingEvidence,
    /// Epoch -> proof RLP of the validators of the epoch after it, in the state after its last block.
    EpochProofs,
    /// Last block of a stretch of blocks -> its first block; that, 8 bytes of the hash of an address or a topic in its
    /// position -> which blocks of the stretch log it. Made again from the receipts where it is missing.
    LogIndex,
}

const _: () = {
    let mut index = 0;
    while index < Table::ALL.len() {
        assert!(Table::ALL[index] as usize == index, "`ALL` is indexed by table");
        index += 1;
    }
};

impl Table {
    /// Every table, in the order of declaration.
    pub const ALL: [Self; 20] = [
        Self::Meta,
        Self::Headers,
        Self::HeaderNumbers,
        Self::Bodies,
        Self::Receipts,
        Self::Certificates,
        Self::TransactionLookup,
        Self::Accounts,
        Self::Storage,
        Self::Code,
        Self::AccountHistory,
        Self::StorageHistory,
        Self::ChangeSets,
        Self::TrieNodes,
        Self::AccessLists,
        Self::ValidatorSets,
        Self::Evidence,
        Self::PendingEvidence,
        Self::EpochProofs,
        Self::LogIndex,
    ];

    /// The column family's name on disk: part of the format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Headers => "headers",
            Self::HeaderNumbers => "header_numbers",
            Self::Bodies => "bodies",
            Self::Receipts => "receipts",
            Self::Certificates => "certificates",
            Self::TransactionLookup => "transaction_lookup",
            Self::Accounts => "accounts",
            Self::Storage => "storage",
            Self::Code => "code",
            Self::AccountHistory => "account_history",
            Self::StorageHistory => "storage_history",
            Self::ChangeSets => "change_sets",
            Self::TrieNodes => "trie_nodes",
            Self::AccessLists => "access_lists",
            Self::ValidatorSets => "validator_sets",
            Self::Evidence => "evidence",
            Self::PendingEvidence => "pending_evidence",
            Self::EpochProofs => "epoch_proofs",
            Self::LogIndex => "log_index",
        }
    }

    /// Whether reads often ask for keys that have no row, so that a bloom filter saves disk reads.
    pub(crate) const fn is_probed(self) -> bool {
        matches!(
            self,
            Self::HeaderNumbers
                | Self::TransactionLookup
                | Self::Accounts
                | Self::Storage
                | Self::Code
                | Self::TrieNodes
                | Self::LogIndex
        )
    }
}
