//! Sets follow the registry, from epoch to epoch, however a node came to its blocks.

use super::world::{
    JAILED, World, addCall, administered, key, members_of, removeCall, rotateKeyCall, set_of, setFeeRecipientCall,
    setPowerCall, unjailCall, validatorOfCall,
};
use crate::{Chain, ChainError};
use alloy_primitives::{Address, B256};
use heddle_primitives::{CertifiedBlock, Height};
use heddle_storage::{Batch, Table};

const FOUR: [(u8, u64); 4] = [(1, 1), (2, 1), (3, 1), (4, 1)];

/// Four validators become seven and four again, one change an epoch, in 30 blocks.
fn grown_and_shrunk() -> World {
    let world = World::start(administered(), 5);
    for n in 5..=7 {
        assert!(world.does(addCall { key: key(n), power: 1, feeRecipient: Address::repeat_byte(n) }));
    }
    for n in 5..=7u64 {
        world.run_to(5 * (n - 4));
        assert!(world.does(removeCall { key: key(n as u8) }));
    }
    world.run_to(30);
    world
}

#[test]
fn changes_take_effect_with_the_next_epoch() {
    let world = grown_and_shrunk();
    let members = |height| members_of(&world.chain.validators(Height::new(height)).unwrap());
    let first = |n: u8| (1..=n).map(|n| (n, 1)).collect::<Vec<_>>();
    for height in 1..=5 {
        assert_eq!(members(height), first(4), "height {height}");
    }
    for height in 6..=10 {
        assert_eq!(members(height), first(7), "height {height}");
    }
    assert_eq!(members(11), [&first(4)[..], &[(6, 1), (7, 1)]].concat());
    assert_eq!(members(16), [&first(4)[..], &[(7, 1)]].concat());
    assert_eq!(members(21), FOUR);
    // Known to the end of the epoch that the next height starts.
    assert_eq!(members(35), FOUR);
    let beyond = world.chain.validators(Height::new(36));
    assert!(matches!(beyond, Err(ChainError::UnknownBlock { number: 36, head: 30 })), "{beyond:?}");
}

#[test]
fn every_way_to_the_head_gives_the_same_sets() {
    let world = grown_and_shrunk();
    let sets =
        |chain: &Chain| (0..=35).map(|height| chain.validators(Height::new(height)).unwrap()).collect::<Vec<_>>();
    let expected = sets(&world.chain);
    assert_eq!(sets(&world.reopened()), expected);

    let finalized = |number| world.chain.finalized_block(number).unwrap().unwrap();
    let late = world.peer();
    for number in 1..=30 {
        let validators = late.validators(Height::new(number)).unwrap();
        late.commit(&CertifiedBlock::verify(finalized(number), &validators, &world.context()).unwrap()).unwrap();
    }
    assert_eq!(sets(&late), expected);

    let importing = world.peer();
    let mut importer = importing.importer().unwrap();
    for number in 1..=30 {
        let validators = importer.validators(Height::new(number)).unwrap();
        importer.commit(&CertifiedBlock::verify(finalized(number), &validators, &world.context()).unwrap()).unwrap();
    }
    assert_eq!(importer.finish().unwrap().hash(), world.chain.head().hash());
    assert_eq!(sets(&importing), expected);
    for chain in [&world.chain, &late, &importing] {
        assert_eq!(chain.check(&mut |_| {}).unwrap().first(), []);
    }
    // Blocks are executed again with what they told the registry.
    assert_eq!(world.chain.parallelism(10).unwrap().depth, 0);
}

#[test]
fn rows_of_sets_are_checked() {
    type Damage = fn(&mut Batch);
    let damages: [(&str, Damage); 3] = [
        ("not the validators of epoch 1", |batch| batch.delete(Table::ValidatorSets, (!1u64).to_be_bytes())),
        ("not the validators of epoch 2", |batch| {
            let other = alloy_rlp::encode(set_of([(1, 1), (2, 1), (3, 1), (4, 1), (6, 2), (7, 1)]));
            batch.put(Table::ValidatorSets, (!2u64).to_be_bytes(), other);
        }),
        ("a row of no epoch", |batch| {
            batch.put(Table::ValidatorSets, (!9u64).to_be_bytes(), alloy_rlp::encode(set_of([(1, 1)])));
        }),
    ];
    for (problem, damage) in damages {
        let world = grown_and_shrunk();
        let mut batch = Batch::new();
        damage(&mut batch);
        world.database.commit(batch).unwrap();
        let findings = world.chain.check(&mut |_| {}).unwrap();
        assert!(findings.first().iter().any(|finding| finding.to_string().contains(problem)), "{findings:?}");
    }
}

#[test]
fn a_key_a_power_and_a_fee_recipient_change_with_the_epoch() {
    let world = World::start(administered(), 4);
    assert!(world.does(rotateKeyCall { oldKey: key(4), newKey: key(9) }));
    assert!(world.does(setPowerCall { key: key(1), power: 5 }));
    assert!(world.does(setFeeRecipientCall { key: key(2), feeRecipient: Address::repeat_byte(0x22) }));
    assert_eq!(world.members(), FOUR);
    world.run_to(4);
    assert_eq!(world.members(), [(1, 5), (2, 1), (3, 1), (9, 1)]);
    let validators = world.chain.validators(Height::new(5)).unwrap();
    let paid = validators.validators().iter().any(|member| member.fee_recipient == Address::repeat_byte(0x22));
    assert!(paid);
    // The head's certificate is of the old set, its child's of the new one.
    world.run_to(6);
    assert!(!world.does(unjailCall { key: key(1) }), "it is not in jail");
}

#[test]
fn who_is_absent_for_an_epoch_is_jailed_and_comes_back() {
    let mut world = World::start(administered(), 5);
    world.asleep = vec![3];
    world.run_to(5);
    assert_eq!(world.members(), [(1, 1), (2, 1), (4, 1)], "three of four go on");
    let record = world.ask(validatorOfCall { key: key(3) });
    assert_eq!((record.status, record.releaseBlock, record.seat), (JAILED, 10, 0));
    assert!(!world.does(unjailCall { key: key(3) }), "too early");
    world.asleep.clear();
    world.run_to(10);
    assert!(world.does(unjailCall { key: key(3) }));
    world.run_to(15);
    assert_eq!(world.members(), FOUR);
}

#[test]
fn jail_never_takes_a_third_at_once() {
    let mut world = World::start(administered(), 6);
    assert!(world.does(addCall { key: key(5), power: 1, feeRecipient: Address::ZERO }));
    assert!(world.does(setPowerCall { key: key(1), power: 4 }));
    assert!(world.does(setPowerCall { key: key(2), power: 4 }));
    world.run_to(6);
    // Three of eleven sleep: one more would be a third.
    world.asleep = vec![3, 4, 5];
    world.run_to(12);
    assert_eq!(world.members(), [(1, 4), (2, 4)]);
    world.asleep.clear();
    // Two of equal power are left, neither of whom may go.
    assert!(!world.does(removeCall { key: key(1) }));
}

#[test]
fn an_epoch_in_which_not_everybody_has_a_turn_jails_nobody() {
    for epoch_length in [1, 4] {
        let mut world = World::start(administered(), epoch_length);
        world.asleep = vec![3];
        world.run_to(9);
        assert_eq!(world.members(), FOUR);
    }
}

#[test]
fn a_member_whose_key_is_none_loses_its_seat() {
    let world = World::start(administered(), 5);
    // The neutral element: a point of small order, for which anybody can sign.
    let mut weak = B256::ZERO;
    weak[0] = 1;
    assert!(world.does(addCall { key: weak, power: 1, feeRecipient: Address::ZERO }));
    world.run_to(4);
    assert_ne!(world.ask(validatorOfCall { key: weak }).seat, 0);
    world.run_to(5);
    assert_eq!(world.members(), FOUR);
    let record = world.ask(validatorOfCall { key: weak });
    assert_eq!((record.status, record.seat), (JAILED, 0));
}
