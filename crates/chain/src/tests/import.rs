//! A plain Ethereum chain: blocks enter without certificates, and only by obeying every rule.

use super::fixture::{CHAIN_ID, GENESIS_TIME, LOGGER, genesis_with_balance, transaction, user};
use crate::{
    BlockError, BlockTemplate, Chain, ChainConfig, ChainError, Fault, History, PruneStep, RecoveredBlock, RuleError,
};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256, Bloom, U256};
use heddle_primitives::{Block, Genesis, Transaction};
use heddle_storage::{Database, DatabaseConfig};

const RECIPIENT: Address = Address::repeat_byte(0x99);

/// The genesis of the other tests without its validators, and with every fork at genesis.
fn plain_genesis() -> Genesis {
    let mut file = genesis_with_balance(1_000).file().clone();
    file.config.extra_fields.remove("heddle");
    Genesis::from_json(&serde_json::to_string(&file).unwrap()).unwrap()
}

struct Plain {
    chain: Option<Chain>,
    directory: tempfile::TempDir,
}

impl Plain {
    fn start() -> Self {
        let mut plain = Self { chain: None, directory: tempfile::tempdir().unwrap() };
        plain.reopen();
        plain
    }

    fn reopen(&mut self) {
        self.chain = None;
        let database = Database::open(self.directory.path(), &DatabaseConfig::default()).unwrap();
        self.chain = Some(Chain::open(plain_genesis(), database, ChainConfig::default()).unwrap());
    }

    fn assembled(&self, transactions: Vec<Transaction>) -> Block {
        let timestamp = self.head().header.timestamp + 12;
        let withdrawal = Withdrawal { index: 0, validator_index: 0, address: RECIPIENT, amount: 1 };
        let withdrawals = Withdrawals::new(vec![withdrawal]);
        let template = BlockTemplate { timestamp, transactions, withdrawals, ..BlockTemplate::default() };
        Block::clone(&self.assemble(template).unwrap())
    }

    fn recovered(&self, block: &Block) -> RecoveredBlock {
        RecoveredBlock::recover(self.rules(), block.clone()).unwrap()
    }

    fn refusal(&self, block: &Block) -> ChainError {
        let before = self.head().hash();
        let recovered = RecoveredBlock::recover(self.rules(), block.clone()).map_err(ChainError::from);
        let error = recovered.and_then(|block| self.import(&block)).err().unwrap();
        assert_eq!(self.head().hash(), before);
        error
    }
}

impl std::ops::Deref for Plain {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        self.chain.as_ref().unwrap()
    }
}

fn two_transactions(nonce: u64) -> Vec<Transaction> {
    vec![transaction(nonce, RECIPIENT, 5, []), transaction(nonce + 1, LOGGER, 0, B256::with_last_byte(1).0)]
}

#[test]
fn blocks_enter_without_certificates_and_survive_a_restart() {
    let (source, mut copy) = (Plain::start(), Plain::start());
    let mut events = copy.subscribe();
    let mut blocks = Vec::new();
    for n in 0..3 {
        let block = source.assembled(two_transactions(n * 2));
        source.import(&source.recovered(&block)).unwrap();
        let head = copy.import(&copy.recovered(&block)).unwrap();
        assert_eq!((head.header.number, head.hash()), (n + 1, block.header.hash_slow()));
        assert!(head.certificate.is_none() && copy.certificate(n + 1).unwrap().is_none());
        let event = events.try_recv().unwrap();
        assert_eq!((event.header.seal(), &event.certificate), (head.hash(), &None));
        blocks.push(block);
    }
    assert_eq!(copy.head().hash(), source.head().hash());
    let account = copy.state().account(RECIPIENT).unwrap().unwrap();
    assert_eq!(account.balance, U256::from(3 * (5 + 1_000_000_000u64)));
    assert_eq!(copy.block(2).unwrap().unwrap().block, blocks[1]);
    assert_eq!(copy.block(2).unwrap().unwrap().senders, vec![user().address(); 2]);
    copy.reopen();
    assert_eq!(copy.head().hash(), source.head().hash());
    let next = source.assembled(two_transactions(6));
    assert_eq!(copy.import(&copy.recovered(&next)).unwrap().header.number, 4);
}

#[test]
fn importing_what_is_committed_changes_nothing() {
    let plain = Plain::start();
    let first = plain.assembled(two_transactions(0));
    plain.import(&plain.recovered(&first)).unwrap();
    let second = plain.assembled(Vec::new());
    let head = plain.import(&plain.recovered(&second)).unwrap();
    let mut events = plain.subscribe();
    for block in [&first, &second] {
        assert_eq!(plain.import(&plain.recovered(block)).unwrap().hash(), head.hash());
    }
    assert!(events.try_recv().is_err());
}

#[test]
fn a_block_that_belongs_elsewhere_is_refused() {
    let plain = Plain::start();
    let first = plain.assembled(Vec::new());
    plain.import(&plain.recovered(&first)).unwrap();
    let second = plain.assembled(Vec::new());

    let mut other = first.clone();
    other.header.timestamp += 1;
    let error = plain.refusal(&other);
    assert!(matches!(error, ChainError::Conflict { number: 1, .. }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);

    let mut gap = second.clone();
    gap.header.number = 7;
    gap.header.parent_hash = B256::repeat_byte(7);
    assert!(matches!(plain.refusal(&gap), ChainError::NotNext { number: 7, head: 1 }));

    let mut orphan = second.clone();
    orphan.header.parent_hash = B256::repeat_byte(7);
    let error = plain.refusal(&orphan);
    assert!(matches!(error, ChainError::InvalidBlock(BlockError::Rule(RuleError::ParentHash(_)))), "{error}");

    let mut misnumbered = second;
    misnumbered.header.number = 1;
    let error = plain.refusal(&misnumbered);
    assert!(matches!(error, ChainError::InvalidBlock(BlockError::Rule(RuleError::Number(_)))), "{error}");
}

#[test]
fn an_invalid_block_is_refused_with_its_rule_and_leaves_the_head() {
    type Alter = fn(&mut Block);
    let parts: [(&str, Alter); 6] = [
        ("state root is", |block| block.header.state_root = B256::repeat_byte(0x77)),
        ("logs bloom is", |block| block.header.logs_bloom = Bloom::ZERO),
        ("gas used is", |block| block.header.gas_used += 1),
        ("transactions root is", |block| block.body.transactions.clear()),
        ("withdrawals root is", |block| block.body.withdrawals = Some(Withdrawals::default())),
        ("is too early", |block| block.header.timestamp = GENESIS_TIME),
    ];
    let plain = Plain::start();
    let good = plain.assembled(two_transactions(0));
    for (rule, alter) in parts {
        let mut bad = good.clone();
        alter(&mut bad);
        let error = plain.refusal(&bad);
        assert_eq!(error.fault(), Fault::Peer, "{error}");
        assert!(error.to_string().contains(rule), "expected `{rule}`, got `{error}`");
    }
    plain.import(&plain.recovered(&good)).unwrap();
}

#[test]
fn the_two_kinds_of_chain_do_not_mix() {
    let (plain, heddle) = (Plain::start(), super::fixture::Node::start());
    let block = plain.assembled(Vec::new());
    let error = heddle.import(&plain.recovered(&block)).err().unwrap();
    assert!(matches!(error, ChainError::Uncertified), "{error}");
    assert!(matches!(heddle.assemble(BlockTemplate::default()), Err(ChainError::Uncertified)));
    assert!(matches!(plain.validators(plain.head().height()), Err(ChainError::ReadOnly)));
    assert_eq!(plain.genesis().chain_id(), CHAIN_ID);
}

#[test]
fn the_genesis_file_is_kept_in_the_database() {
    let plain = Plain::start();
    let stored = Chain::stored_genesis(&plain.inner.database).unwrap().unwrap();
    assert_eq!((stored.hash(), stored.config()), (plain_genesis().hash(), plain_genesis().config()));
    let empty = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
    assert!(Chain::stored_genesis(&empty).unwrap().is_none());
    let heddle = super::fixture::Node::start();
    let stored = Chain::stored_genesis(&heddle.inner.database).unwrap().unwrap();
    assert_eq!((stored.hash(), stored.heddle()), (heddle.genesis().hash(), heddle.genesis().heddle()));
}

#[test]
fn pruned_states_are_refused_with_the_oldest_that_is_left() {
    let plain = Plain::start();
    for n in 0..6 {
        plain.import(&plain.recovered(&plain.assembled(two_transactions(n * 2)))).unwrap();
    }
    let before = plain.state_at(1).unwrap();
    assert_eq!(plain.prune_history(History::Archive).unwrap(), PruneStep { oldest: 0, target: 0 });
    let step = plain.prune_history(History::Full(2)).unwrap();
    assert_eq!((step, step.is_done()), (PruneStep { oldest: 4, target: 4 }, true));
    let error = plain.state_at(3).err().unwrap();
    assert_eq!(error.fault(), Fault::Caller);
    assert!(error.to_string().contains('4'), "{error}");
    let balance = |state: crate::StateView| state.account(RECIPIENT).unwrap().unwrap().balance;
    let expected = |blocks: u64| U256::from(blocks * (5 + 1_000_000_000));
    assert_eq!(balance(plain.state_at(4).unwrap()), expected(4));
    // A reader that was there before sees what it saw.
    assert_eq!(balance(before), expected(1));
}

#[test]
fn pruning_and_committing_do_not_wait_for_each_other() {
    let plain = Plain::start();
    let import = |n: u64| plain.import(&plain.recovered(&plain.assembled(two_transactions(n * 2)))).unwrap();
    (0..4).for_each(|n| drop(import(n)));
    {
        let _commit_under_way = plain.inner.commit_door.lock();
        assert_eq!(plain.prune_history(History::Full(2)).unwrap().oldest, 2);
    }
    {
        let _pruning_under_way = plain.inner.pruning.lock();
        import(4);
    }
    std::thread::scope(|scope| {
        let committed = scope.spawn(|| (5..40).for_each(|n| drop(import(n))));
        while !committed.is_finished() {
            plain.prune_history(History::Full(2)).unwrap();
        }
    });
    while !plain.prune_history(History::Full(2)).unwrap().is_done() {}
    assert!(plain.state_at(37).is_err() && plain.state_at(38).is_ok());
    assert_eq!(plain.check(&mut |_| {}).unwrap().first(), []);
}
