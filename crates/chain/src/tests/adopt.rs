//! Chains that begin with a state: what they can do, what they lack, and how they get it.

use super::check::{in_memory, problems, rows};
use super::fixture::{HASHER, LIMITS, LOGGER, user};
use super::membership::{World, addCall, administered, genesis, key, removeCall};
use crate::{
    AdoptedBase, BackfillError, CallRequest, Chain, ChainConfig, ChainError, Fault, Head, LogFilter, LogLimits,
    Overrides,
};
use alloy_primitives::{Address, B256, U256, hex, keccak256};
use heddle_primitives::{
    CertifiedBlock, CertifiedHeader, Checkpoint, Epoch, FinalizedBlock, Height, LightClient, Receipt, ValidatorSet,
    VerifiedHeader,
};
use heddle_state::{META_KEYS, StateError};
use heddle_storage::{Batch, Database, DatabaseConfig, Snapshot, Table};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::sync::Arc;

const EPOCH: u64 = 4;
/// Of the source's chain.
const HEAD: u64 = 14;

/// Fourteen blocks with transfers and logs; a validator comes after the first epoch and another goes after the second, and
/// one is convicted in block 10.
fn source() -> World {
    let world = World::start(administered(), EPOCH);
    for number in 1..=HEAD {
        let mut transactions = vec![
            world.transaction(Address::repeat_byte(0x40 + number as u8), U256::from(number), []),
            world.transaction(LOGGER, U256::ZERO, U256::from(number).to_be_bytes::<32>()),
        ];
        match number {
            2 => transactions.push(world.send(addCall { key: key(5), power: 3, feeRecipient: Address::ZERO })),
            7 => transactions.push(world.send(removeCall { key: key(1) })),
            10 => drop(world.chain.add_evidence(world.equivocation(2, 8)).unwrap()),
            _ => {}
        }
        assert!(world.extend(transactions).iter().all(|is_done| *is_done));
    }
    world
}

fn certified(world: &World, numbers: impl IntoIterator<Item = u64>) -> Vec<CertifiedHeader> {
    let header = |number| world.chain.certified_header(Height::new(number)).unwrap().unwrap();
    numbers.into_iter().map(header).collect()
}

/// What a light client finds on its way to a pivot.
fn base(world: &World, pivot: u64) -> AdoptedBase {
    let mut client = LightClient::new(world.chain.genesis()).unwrap();
    let mut validator_sets: Vec<(Epoch, ValidatorSet)> = vec![(client.epoch(), client.validators().clone())];
    let mut last: Option<VerifiedHeader> = None;
    for header in certified(world, 1..=pivot) {
        last = client.follow_linked(vec![header]).unwrap().pop();
        validator_sets.push((client.epoch(), client.validators().clone()));
    }
    validator_sets.dedup_by_key(|(epoch, _)| *epoch);
    let ancestors =
        (pivot.saturating_sub(256).max(1)..pivot).map(|number| world.chain.header(number).unwrap().unwrap());
    AdoptedBase { pivot: last.unwrap(), ancestors: ancestors.collect(), validator_sets }
}

/// Puts a state into the place of another, row by row; the rows that say whose it is are for the end.
fn copy_state(from: &Snapshot, to: &Database) -> Batch {
    let mut rows = Batch::new();
    for table in [Table::Accounts, Table::Storage, Table::Code, Table::TrieNodes] {
        rows.delete_range(table, [], [0xff; 128]);
        for row in from.scan(table, &[]).unwrap() {
            let (key, value) = row.unwrap();
            rows.put(table, key, value);
        }
    }
    META_KEYS.iter().for_each(|key| rows.delete(Table::Meta, key));
    to.commit(rows).unwrap();
    let [head, oldest, root] = META_KEYS;
    let mut last = Batch::new();
    last.put(Table::Meta, head, from.get(Table::Meta, head).unwrap().unwrap());
    last.put(Table::Meta, oldest, from.get(Table::Meta, head).unwrap().unwrap());
    last.put(Table::Meta, root, from.get(Table::Meta, root).unwrap().unwrap());
    last
}

/// A node that joins.
struct Joining {
    chain: Chain,
    database: Database,
}

fn open(database: &Database) -> Chain {
    Chain::open(genesis(administered(), EPOCH), database.clone(), ChainConfig::default()).unwrap()
}

fn import(chain: &Chain, world: &World, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let block = world.chain.finalized_block(number).unwrap().unwrap();
        let validators = chain.validators(Height::new(number)).unwrap();
        chain.commit(&CertifiedBlock::verify(block, &validators, &world.context()).unwrap()).unwrap();
    }
}

impl Joining {
    fn new() -> Self {
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        Self { chain: open(&database), database }
    }

    /// One that began with the state after a block of `world`.
    fn at(world: &World, pivot: u64) -> Self {
        let joining = Self::new();
        joining.adopt(world, base(world, pivot)).unwrap();
        joining
    }

    fn reopen(&mut self) {
        self.chain = open(&self.database);
    }

    fn adopt(&self, world: &World, base: AdoptedBase) -> Result<Arc<Head>, ChainError> {
        let stopped = world.peer();
        import(&stopped, world, 1..=base.pivot.header().number);
        self.chain.adopt_with(base, |_| Ok(copy_state(stopped.state().snapshot(), &self.database)))
    }

    fn check(&self) {
        let findings = self.chain.check(&mut |_| {}).unwrap();
        assert_eq!(findings.first(), [], "{} findings", findings.count());
    }

    fn check_genesis(&self) {
        assert_eq!((self.chain.head().hash(), self.chain.blocks_from()), (self.chain.genesis().hash(), 0));
        assert!(self.chain.state().account(user().address()).unwrap().is_some());
        self.check();
    }
}

#[test]
fn logs_are_indexed_at_both_ends_while_the_past_comes_in() {
    let world = source();
    let mut joining = Joining::at(&world, 8);
    let found = |chain: &Chain, from| {
        let filter = LogFilter { from, to: HEAD, addresses: vec![LOGGER], ..LogFilter::default() };
        chain.logs(&filter, LogLimits::default()).unwrap()
    };
    joining.chain.inner.log_indexer.restart(3, 100);
    assert!(joining.chain.index_logs().unwrap(), "no block yet");
    import(&joining.chain, &world, 9..=HEAD);
    while !joining.chain.index_logs().unwrap() {}
    for number in (1..=8).rev() {
        joining.chain.backfill_blocks(blocks(&world, [number])).unwrap();
        while !joining.chain.index_logs().unwrap() {}
        let from = joining.chain.blocks_from();
        assert_eq!(found(&joining.chain, from), found(&world.chain, from), "from block {from}");
        joining.check();
        if number % 2 == 0 {
            joining.reopen();
            joining.chain.inner.log_indexer.restart(3, 100);
        }
    }
    let snapshot = joining.database.snapshot();
    let stretches = snapshot.scan(Table::LogIndex, &[]).unwrap().map(Result::unwrap).filter(|(key, _)| key.len() == 8);
    let lasts: Vec<_> = stretches.map(|(key, _)| u64::from_be_bytes(key.try_into().unwrap())).collect();
    assert_eq!(lasts, [2, 5, 8, 11, 14]);
}

/// Blocks as a peer sends them, with receipts.
fn blocks(world: &World, numbers: impl IntoIterator<Item = u64>) -> Vec<(FinalizedBlock, Vec<Receipt>)> {
    let block = |number| {
        (world.chain.finalized_block(number).unwrap().unwrap(), world.chain.receipts(number).unwrap().unwrap())
    };
    numbers.into_iter().map(block).collect()
}

#[test]
fn a_chain_goes_on_from_any_block_as_if_it_had_executed_all() {
    let world = source();
    for pivot in 1..=HEAD {
        let mut joining = Joining::at(&world, pivot);
        let head = joining.chain.head();
        assert_eq!(head.header, world.chain.header(pivot).unwrap().unwrap());
        assert!(head.certificate.is_some());
        joining.check();
        if pivot % 2 == 0 {
            joining.reopen();
        }
        import(&joining.chain, &world, pivot + 1..=HEAD);
        assert_eq!(joining.chain.head().hash(), world.chain.head().hash());
        for height in 1..=HEAD + 1 {
            let sets = [&joining.chain, &world.chain].map(|chain| chain.validators(Height::new(height)).unwrap());
            assert_eq!(sets[0], sets[1], "pivot {pivot}, height {height}");
        }
        for end in (EPOCH..=HEAD).step_by(EPOCH as usize).filter(|end| *end >= pivot) {
            let epoch = Epoch::of(Height::new(end), EPOCH);
            assert_eq!(joining.chain.epoch_step(epoch).unwrap(), world.chain.epoch_step(epoch).unwrap());
        }
        joining.check();
    }
}

#[test]
fn what_lies_before_is_absent_and_no_error() {
    let world = source();
    let joining = Joining::at(&world, 9);
    let chain = &joining.chain;
    assert_eq!((chain.headers_from(), chain.blocks_from()), (9, 10));
    import(chain, &world, 10..=HEAD);
    for number in 1..=9 {
        let hash = world.chain.header(number).unwrap().unwrap().seal();
        let sent = world.chain.block(number).unwrap().unwrap().block.body.transactions[0].clone();
        assert_eq!((chain.block(number).unwrap(), chain.receipts(number).unwrap()), (None, None), "{number}");
        assert_eq!(chain.finalized_block(number).unwrap(), None);
        assert_eq!(chain.transaction(*sent.tx_hash()).unwrap(), None);
        assert_eq!(chain.access_list(number).unwrap(), None);
        assert_eq!(chain.certified_header(Height::new(number)).unwrap().is_some(), number == 9);
        // Their headers are there for the sake of their hashes.
        assert_eq!(chain.number_of(hash).unwrap(), Some(number));
        let error = chain.parallelism(number).unwrap_err();
        assert!(matches!(error, ChainError::AbsentBlock { oldest: 10, .. }), "{error}");
        if number < 9 {
            let error = chain.state_at(number).err().unwrap();
            assert!(matches!(error, ChainError::State(StateError::HistoryPruned { oldest: 9, .. })), "{error}");
        }
    }
    assert!(chain.block(0).unwrap().is_some() && chain.receipts(0).unwrap().is_some());
    assert!(chain.finalized_block(10).unwrap() == world.chain.finalized_block(10).unwrap());
    assert!(chain.state_at(9).is_ok());

    let logs = |from, to| chain.logs(&LogFilter { from, to, ..LogFilter::default() }, LogLimits::default());
    for from in [0, 1, 9] {
        let error = logs(from, HEAD).unwrap_err();
        assert_eq!(error.fault(), Fault::Caller);
        assert!(error.to_string().contains("the oldest is 10"), "{error}");
    }
    assert_eq!(logs(0, 0).unwrap(), []);
    assert_eq!(logs(10, HEAD).unwrap().len(), 5);
    for from in [0, 1, 9] {
        let error = chain.evidence(from, HEAD, 99).unwrap_err();
        assert!(matches!(error, ChainError::AbsentBlock { oldest: 10, .. }), "{error}");
    }
    assert_eq!(chain.evidence(0, 0, 1).unwrap(), []);
    assert_eq!(chain.evidence(10, HEAD, 99).unwrap(), world.chain.evidence(10, HEAD, 99).unwrap());
    // A block that was final long ago may be decided again by whoever comes late.
    import(chain, &world, [1, 8, 9, 10]);
}

#[test]
fn a_contract_still_learns_the_hashes_of_blocks_that_are_absent() {
    let world = source();
    let joining = Joining::at(&world, 9);
    import(&joining.chain, &world, 10..=10);
    for number in 0..=10u64 {
        let data = U256::from(number).to_be_bytes_vec().into();
        let request = CallRequest { to: Some(HASHER), data, ..CallRequest::default() };
        let asked = [&joining.chain, &world.chain]
            .map(|chain| chain.call(10u64, &request, &Overrides::default(), &LIMITS).unwrap().output);
        assert_eq!(asked[0], asked[1], "{number}");
        assert_eq!(asked[0].iter().all(|byte| *byte == 0), number == 10);
    }
}

#[test]
fn who_equivocated_before_the_pivot_is_convicted_behind_it() {
    let world = source();
    let joining = Joining::at(&world, 13);
    let late = world.equivocation(3, 6);
    assert!(joining.chain.add_evidence(late.clone()).unwrap());
    assert!(world.chain.add_evidence(late.clone()).unwrap());
    import(&joining.chain, &world, 14..=14);
    world.extend(Vec::new());
    import(&joining.chain, &world, 15..=15);
    assert_eq!(joining.chain.evidence(15, 15, 1).unwrap(), [(15, late)]);
    joining.check();
}

#[test]
fn what_came_before_is_fetched_in_any_pieces() {
    let world = source();
    for (pivot, piece) in [(9, 1), (12, 3), (14, 100), (4, 2), (1, 1)] {
        let joining = Joining::at(&world, pivot);
        let chain = &joining.chain;
        import(chain, &world, pivot + 1..=HEAD);
        // The pivot's own block needs no more headers.
        assert_eq!(chain.backfill_blocks(blocks(&world, [pivot])).unwrap(), if pivot == 1 { 0 } else { pivot });
        joining.check();
        let below = Vec::from_iter((1..pivot).rev());
        for piece in below.chunks(piece) {
            let last = piece[piece.len() - 1];
            let from = chain.backfill_headers(&certified(&world, piece.iter().copied())).unwrap();
            assert_eq!(from, if last == 1 { 0 } else { last });
            joining.check();
        }
        for piece in below.chunks(piece) {
            let last = piece[piece.len() - 1];
            let from = chain.backfill_blocks(blocks(&world, piece.iter().copied())).unwrap();
            assert_eq!(from, if last == 1 { 0 } else { last });
            joining.check();
        }
        for number in 1..=HEAD {
            assert_eq!(chain.block(number).unwrap(), world.chain.block(number).unwrap());
            assert_eq!(chain.receipts(number).unwrap(), world.chain.receipts(number).unwrap());
            let certified = chain.certified_header(Height::new(number)).unwrap();
            assert_eq!(certified, world.chain.certified_header(Height::new(number)).unwrap());
        }
        assert_eq!((chain.headers_from(), chain.blocks_from()), (0, 0));
        let of_blocks = |database: &Database| {
            let mut rows = rows(database);
            let of_state = [Table::AccountHistory, Table::StorageHistory, Table::ChangeSets, Table::AccessLists];
            rows.retain(|(table, ..)| !of_state.contains(table) && *table != Table::Meta);
            rows
        };
        assert!(of_blocks(&joining.database) == of_blocks(&world.database), "pivot {pivot}");
        assert_eq!(Joining { chain: open(&joining.database), ..joining }.chain.blocks_from(), 0);
    }
}

#[test]
fn a_wrong_header_is_its_senders_fault_and_changes_nothing() {
    type Alter = fn(&World, &mut Vec<CertifiedHeader>);
    let world = source();
    let table: [(&str, Alter); 9] = [
        ("not the one before block", |_, headers| headers[1].header.gas_limit += 1),
        ("not the one before block", |_, headers| drop(headers.remove(1))),
        ("not the one before block", |_, headers| headers.swap(1, 2)),
        ("not the one before block", |_, headers| headers[2] = headers[1].clone()),
        ("for another block", |_, headers| headers[1].certificate = headers[0].certificate.clone()),
        ("header 5: ", |_, headers| headers[3].certificate.signatures.truncate(1)),
        ("header 5: ", |_, headers| {
            let other = headers[3].certificate.signatures[1].signature;
            headers[3].certificate.signatures[0].signature = other;
        }),
        ("account in the state of header 4", |_, headers| headers[4].members.as_mut().unwrap().account.nonce += 1),
        ("account in the state of header 4", |world, headers| {
            headers[4].members = certified(world, [8]).remove(0).members
        }),
    ];
    let joining = Joining::at(&world, 9);
    let before = rows(&joining.database);
    for (index, (problem, alter)) in table.into_iter().enumerate() {
        let mut headers = certified(&world, (3..=8).rev());
        alter(&world, &mut headers);
        let error = joining.chain.backfill_headers(&headers).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{index}: {error}");
        assert!(error.to_string().contains(problem), "{index}: {error}");
        assert!(rows(&joining.database) == before, "{index}");
    }
    for gap in [7, 3] {
        let error = joining.chain.backfill_headers(&certified(&world, [gap])).unwrap_err();
        assert!(matches!(error, ChainError::AbsentBlock { oldest: 9, .. }), "{error}");
    }
    // Empty is nothing, and what is there already does no harm.
    assert_eq!(joining.chain.backfill_headers(&[]).unwrap(), 9);
    assert_eq!(joining.chain.backfill_headers(&certified(&world, [8, 7])).unwrap(), 7);
    assert_eq!(joining.chain.backfill_headers(&certified(&world, [8, 7, 6])).unwrap(), 6);
    joining.check();
}

#[test]
fn a_certificate_that_nothing_binds_must_convince_by_itself() {
    let world = source();
    assert!(!world.chain.evidence(10, 10, 1).unwrap().is_empty(), "block 10 binds evidence");
    let joining = Joining::at(&world, 12);
    let mut headers = certified(&world, (8..=11).rev());
    let another = headers[2].certificate.clone();
    headers[2].certificate.signatures.truncate(1);
    let error = joining.chain.backfill_headers(&headers).unwrap_err();
    assert_eq!(error.fault(), Fault::Peer);
    assert!(error.to_string().contains("header 9"), "{error}");
    headers[2].certificate = another;
    joining.chain.backfill_headers(&headers).unwrap();
    joining.check();
}

#[test]
fn the_proof_at_the_end_of_an_epoch_is_never_left_out() {
    let world = source();
    let joining = Joining::at(&world, 9);
    let chain = &joining.chain;
    // Block 8 ends an epoch, and no block brings the proof.
    assert_eq!(chain.backfill_blocks(blocks(&world, [9])).unwrap(), 9);
    assert_eq!(chain.headers_from(), 9);
    joining.check();
    let last = Epoch::new(1);
    assert_eq!(chain.epoch_step(last).unwrap(), None);
    let before = rows(&joining.database);
    let mut without = certified(&world, (5..=8).rev());
    without[0].members = None;
    let error = chain.backfill_headers(&without).unwrap_err();
    assert!(matches!(error, ChainError::Backfill(BackfillError::MembersMissing(8))), "{error}");
    assert!(rows(&joining.database) == before);

    // Blocks may go on without it; the headers follow.
    assert_eq!(chain.backfill_blocks(blocks(&world, [8, 7])).unwrap(), 7);
    assert_eq!(chain.headers_from(), 9);
    joining.check();
    assert_eq!(chain.backfill_headers(&certified(&world, [8])).unwrap(), 8);
    assert_eq!(chain.epoch_step(last).unwrap(), world.chain.epoch_step(last).unwrap());
    // What is here need not come again.
    assert_eq!(chain.backfill_headers(&without).unwrap(), 5);
    assert_eq!(chain.epoch_step(last).unwrap(), world.chain.epoch_step(last).unwrap());
    joining.check();
}

#[test]
fn another_block_than_the_checkpoint_is_neither_adopted_nor_put_before() {
    let world = source();
    let expecting = |height, hash| {
        let checkpoint = Some(Checkpoint { height: Height::new(height), hash });
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let config = ChainConfig { checkpoint, ..ChainConfig::default() };
        Joining { chain: Chain::open(genesis(administered(), EPOCH), database.clone(), config).unwrap(), database }
    };
    let other = B256::repeat_byte(7);
    for height in [1, 8, 9] {
        let joining = expecting(height, other);
        let error = joining.chain.adopt_with(base(&world, 9), |_| panic!("it must be refused before")).err().unwrap();
        assert!(matches!(error, ChainError::Checkpoint { number, .. } if number == height), "{error}");
        joining.check_genesis();
        expecting(height, world.chain.header(height).unwrap().unwrap().seal()).adopt(&world, base(&world, 9)).unwrap();
    }

    // One that lies before all that comes with a state.
    world.run_to(271);
    let hash = world.chain.header(10).unwrap().unwrap().seal();
    for (expected, is_right) in [(other, false), (hash, true)] {
        let joining = expecting(10, expected);
        joining.adopt(&world, base(&world, 270)).unwrap();
        joining.chain.backfill_headers(&certified(&world, (11..=269).rev())).unwrap();
        let added = joining.chain.backfill_headers(&certified(&world, [10]));
        assert_eq!(added.is_ok(), is_right);
        let is_refused = matches!(added, Err(ChainError::Checkpoint { number: 10, .. }));
        assert_eq!((is_refused, joining.chain.headers_from()), (!is_right, if is_right { 10 } else { 11 }));
    }
}

#[test]
fn a_wrong_block_is_its_senders_fault_and_changes_nothing() {
    type Alter = fn(&mut [(FinalizedBlock, Vec<Receipt>)]);
    let table: [(&str, Alter); 8] = [
        ("block 10: ", |blocks| {
            Arc::make_mut(&mut blocks[2].0.proposed.block).body.transactions.pop();
        }),
        ("block 10 ", |blocks| Arc::make_mut(&mut blocks[2].0.proposed.block).header.gas_used += 1),
        ("block 12 ", |blocks| blocks.reverse()),
        ("block 11 ", |blocks| blocks[1] = blocks[0].clone()),
        ("block 10: parentBeaconBlockRoot", |blocks| blocks[2].0.proposed.evidence.clear()),
        ("block 11: parentBeaconBlockRoot", |blocks| blocks[1].0.proposed.parent_certificate = None),
        ("receipts of block 11", |blocks| drop(blocks[1].1.pop())),
        ("receipts of block 11", |blocks| blocks[1].1.swap(0, 1)),
    ];
    let world = source();
    let joining = Joining::at(&world, 12);
    joining.chain.backfill_headers(&certified(&world, (1..=11).rev())).unwrap();
    let before = rows(&joining.database);
    for (index, (problem, alter)) in table.into_iter().enumerate() {
        let mut blocks = blocks(&world, (10..=12).rev());
        alter(&mut blocks);
        let error = joining.chain.backfill_blocks(blocks).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{index}: {error}");
        assert!(error.to_string().contains(problem), "{index}: {error}");
        assert!(rows(&joining.database) == before, "{index}");
    }
    assert_eq!(joining.chain.backfill_blocks(Vec::new()).unwrap(), 13);
    // Before the first block there is none.
    joining.chain.backfill_blocks(blocks(&world, (1..=12).rev())).unwrap();
    let error = joining.chain.backfill_blocks(blocks(&world, [1])).unwrap_err();
    assert!(matches!(error, ChainError::AbsentBlock { .. }), "{error}");
    joining.check();
}

#[test]
fn a_base_that_does_not_fit_is_refused_before_anything_is_touched() {
    type Alter = fn(&World, &mut AdoptedBase);
    let table: [(&str, Alter); 8] = [
        ("7 headers come before block 9, 8 are needed", |_, base| drop(base.ancestors.pop())),
        ("9 headers come before block 9", |_, base| base.ancestors.push(base.ancestors[7].clone())),
        ("header 8 ", |_, base| base.ancestors.swap(7, 6)),
        ("header 1 ", |world, base| base.ancestors[0] = world.chain.header(2).unwrap().unwrap()),
        ("epoch 0 is out of place", |_, base| base.validator_sets[0].1 = base.validator_sets[1].1.clone()),
        ("epoch 1 is out of place", |_, base| base.validator_sets.swap(1, 2)),
        ("epoch 3 is out of place", |world, base| base.validator_sets = self::base(world, 12).validator_sets),
        ("the pivot's certificate", |_, base| base.validator_sets.truncate(1)),
    ];
    let world = source();
    let joining = Joining::new();
    for (index, (problem, alter)) in table.into_iter().enumerate() {
        let mut base = base(&world, 9);
        alter(&world, &mut base);
        let error = joining.chain.adopt_with(base, |_| panic!("it must be refused before")).err().unwrap();
        assert_eq!(error.fault(), Fault::Peer, "{index}: {error}");
        assert!(error.to_string().contains(problem), "{index}: {error}");
    }
    joining.check_genesis();
    import(&joining.chain, &world, 1..=1);
    let error = joining.adopt(&world, base(&world, 9)).err().unwrap();
    assert!(matches!(error, ChainError::NotAtGenesis { head: 1 }), "{error}");
}

#[test]
fn whatever_stops_it_there_is_a_state_or_that_of_genesis() {
    let world = source();
    let stopped = world.peer();
    import(&stopped, &world, 1..=9);
    let broken = || StateError::MissingCode(Default::default());

    // It fails, and the node goes on.
    let joining = Joining::new();
    let failed = joining.chain.adopt_with(base(&world, 9), |_| {
        copy_state(stopped.state().snapshot(), &joining.database);
        Err(broken())
    });
    assert_eq!(failed.err().unwrap().fault(), Fault::Ours);
    joining.check_genesis();
    assert!(joining.database.get(Table::Code, keccak256([])).unwrap().is_none());
    joining.adopt(&world, base(&world, 9)).unwrap();
    import(&joining.chain, &world, 10..=HEAD);

    // The state is another than that of the header: the batch is not taken, or the head does not open.
    let joining = Joining::new();
    let other =
        joining.chain.adopt_with(base(&world, 8), |_| Ok(copy_state(stopped.state().snapshot(), &joining.database)));
    assert_eq!(other.err().unwrap().fault(), Fault::Ours);

    // It is killed after some rows.
    let mut joining = Joining::new();
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = joining.chain.adopt_with(base(&world, 9), |_| {
            copy_state(stopped.state().snapshot(), &joining.database);
            panic!("killed");
        });
    }));
    assert!(killed.is_err());
    let reading =
        Chain::open_read_only(genesis(administered(), EPOCH), joining.database.clone(), ChainConfig::default());
    assert!(matches!(reading.err(), Some(ChainError::Adopting { number: 9 })));
    joining.reopen();
    joining.check_genesis();
    joining.adopt(&world, base(&world, 9)).unwrap();
    import(&joining.chain, &world, 10..=HEAD);
    joining.check();
}

#[test]
fn subscribers_and_snapshots_see_the_pivot() {
    let world = source();
    let joining = Joining::new();
    let mut events = joining.chain.subscribe();
    joining.adopt(&world, base(&world, 9)).unwrap();
    let event = events.try_recv().unwrap();
    assert_eq!(event.header, joining.chain.head().header);
    assert!(event.certificate.is_some() && event.block.body.transactions.is_empty());
    let offers = || Vec::from_iter(joining.chain.snapshots().iter().map(|offer| offer.height.as_u64()));
    // Nobody could begin with it before the headers are there that come before it.
    for first in [8, 2] {
        assert!(offers().is_empty() && joining.chain.snapshot(Height::new(9)).is_none(), "{first}");
        joining.chain.backfill_headers(&certified(&world, (first..=8).rev())).unwrap();
    }
    assert!(offers().is_empty());
    joining.chain.backfill_headers(&certified(&world, [1])).unwrap();
    assert_eq!(offers(), [9]);
    assert_eq!(joining.chain.snapshot(Height::new(9)).unwrap().number(), Some(9));
    let client = joining.chain.light_client_at_head().unwrap();
    assert_eq!(client.header(), &joining.chain.head().header);
}

#[test]
fn flipped_bits_of_what_an_adopted_chain_has_are_found() {
    let world = source();
    let joining = Joining::at(&world, 9);
    import(&joining.chain, &world, 10..=HEAD);
    // With the proofs of all validators that there were.
    joining.chain.backfill_headers(&certified(&world, (4..=8).rev())).unwrap();
    joining.chain.backfill_blocks(blocks(&world, (8..=9).rev())).unwrap();
    joining.check();
    let whole = rows(&joining.database);
    let mut rng = StdRng::seed_from_u64(5);
    for round in 0..300 {
        let table = Table::ALL[round % Table::ALL.len()];
        let of_table: Vec<_> = (0..whole.len()).filter(|row| whole[*row].0 == table).collect();
        let Some(row) = of_table.choose(&mut rng).copied() else { continue };
        let mut damaged = whole.clone();
        let (_, key, value) = &mut damaged[row];
        let bytes = if rng.random_bool(0.4) || value.is_empty() { key } else { value };
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        assert!(!problems(in_memory(&damaged), EPOCH).is_empty(), "{table:?} {:?} at {at}", hex::encode(&whole[row].1));
    }
}

#[test]
fn of_a_long_past_only_the_last_headers_are_there() {
    let world = World::start(administered(), EPOCH);
    world.run_to(271);
    let joining = Joining::at(&world, 270);
    let chain = &joining.chain;
    let known = (1..=270).filter(|number| chain.header(*number).unwrap().is_some());
    assert!(known.eq(14..=270));
    import(chain, &world, [5, 20, 271]);
    joining.check();
    // Blocks stop where headers do.
    let error = chain.backfill_blocks(blocks(&world, (14..=270).rev())).unwrap_err();
    assert!(matches!(error, ChainError::AbsentBlock { number: 14, .. }), "{error}");
    assert_eq!(chain.backfill_blocks(blocks(&world, (15..=270).rev())).unwrap(), 15);
    // With blocks came no proofs: block 268 ends an epoch.
    assert_eq!(chain.headers_from(), 269);
    joining.check();
    assert_eq!(chain.backfill_headers(&certified(&world, (15..=268).rev())).unwrap(), 15);
    assert!(chain.snapshots().is_empty());
    assert_eq!(chain.backfill_headers(&certified(&world, [14])).unwrap(), 14);
    assert_eq!(chain.snapshots().len(), 1);
    assert_eq!(chain.backfill_headers(&certified(&world, (1..=13).rev())).unwrap(), 0);
    assert_eq!(chain.backfill_blocks(blocks(&world, (1..=14).rev())).unwrap(), 0);
    joining.check();
}
