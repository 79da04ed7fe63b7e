//! A light client follows a real chain, and nothing else.

use super::world::{World, addCall, administered, key, members_of, removeCall, set_of};
use alloy_primitives::{Address, U256};
use heddle_primitives::registry::{self, read_members};
use heddle_primitives::{
    CertifiedBlock, CertifiedHeader, CommitCertificate, Epoch, EpochStep, Header, Height, LightClient,
    LightClientError, MembersProof, SlotProof,
};
use heddle_state::ProofLimits;
use heddle_storage::{Batch, Table};

/// What a node gives for the end of an epoch, by what `eth_getProof` has.
pub(super) fn step(world: &World, number: u64) -> EpochStep {
    let (header, certificate) = header(world, number);
    let (state, mut slots) = (world.chain.state_at(number).unwrap(), Vec::new());
    let members = read_members(|slot| {
        slots.push(slot);
        state.storage(registry::ADDRESS, slot)
    });
    members.unwrap().unwrap();
    let proof = world.chain.proof(number, registry::ADDRESS, &slots, &ProofLimits::default()).unwrap();
    let slots = proof.storage.into_iter().map(|slot| SlotProof { value: slot.value, nodes: slot.proof });
    let (account, nodes) = (proof.account.unwrap(), proof.proof);
    EpochStep { header, certificate, members: MembersProof { account, nodes, slots: slots.collect() } }
}

pub(super) fn header(world: &World, number: u64) -> (Header, CommitCertificate) {
    let header = world.chain.header(number).unwrap().unwrap().into_inner();
    (header, world.chain.certificate(number).unwrap().unwrap())
}

pub(super) fn client(world: &World) -> LightClient {
    LightClient::new(world.chain.genesis()).unwrap()
}

#[test]
fn it_follows_a_thousand_blocks_across_twenty_changes() {
    const EPOCH: u64 = 48;
    let world = World::start(administered(), EPOCH);
    // One comes or one goes, in each of the first twenty epochs.
    for epoch in 0..20u64 {
        world.run_to(epoch * EPOCH + 1);
        let n = key(5 + (epoch / 2) as u8);
        let is_done = match epoch % 2 {
            0 => world.does(addCall { key: n, power: 1 + epoch, feeRecipient: Address::repeat_byte(5) }),
            _ => world.does(removeCall { key: key(1 + (epoch / 2) as u8) }),
        };
        assert!(is_done, "epoch {epoch}");
    }
    world.run_to(1_000);
    let mut changes = 0;
    let mut trusting = client(&world);
    for number in (1..=20).map(|epoch| epoch * EPOCH) {
        let before = trusting.validators().clone();
        trusting.end_epoch(&step(&world, number)).unwrap();
        changes += u32::from(*trusting.validators() != before);
    }
    assert_eq!(changes, 20);
    assert_eq!(members_of(trusting.validators()), world.members());
    let (target, certificate) = header(&world, 1_000);
    trusting.advance(target.clone(), &certificate).unwrap();
    assert_eq!(trusting.header().seal(), world.chain.head().hash());

    // From any header on, all at once.
    let known = world.chain.validators(heddle_primitives::Height::new(500)).unwrap();
    let trusted = world.chain.header(500).unwrap().unwrap();
    let mut later = client(&world).trusting(trusted, (*known).clone());
    let steps: Vec<_> = (11..=20).map(|epoch| step(&world, epoch * EPOCH)).collect();
    later.follow(&steps, target, &certificate).unwrap();
    assert_eq!(later.header(), trusting.header());
}

/// Four members become five after block 4.
fn short() -> World {
    let world = World::start(administered(), 4);
    assert!(world.does(addCall { key: key(5), power: 3, feeRecipient: Address::ZERO }));
    world.run_to(10);
    world
}

#[test]
fn the_end_of_an_epoch_may_be_the_target_and_a_step_later() {
    let world = short();
    let mut client = client(&world);
    let (end, certificate) = header(&world, 4);
    client.advance(end, &certificate).unwrap();
    client.end_epoch(&step(&world, 4)).unwrap();
    assert_eq!(members_of(client.validators()), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 3)]);
    let (inside, certificate) = header(&world, 6);
    client.advance(inside.clone(), &certificate).unwrap();
    let again = client.advance(inside, &certificate).unwrap_err();
    assert!(matches!(again, LightClientError::NotLater { number: 6, trusted: 6 }), "{again}");
}

#[test]
fn what_is_not_proven_is_refused() {
    type Alter = fn(&World, &mut EpochStep);
    let table: [(&str, Alter); 12] = [
        ("not more than two thirds", |_, step| step.certificate.signatures.truncate(2)),
        ("does not verify", |_, step| {
            let other = step.certificate.signatures[1].signature;
            step.certificate.signatures[0].signature = other;
        }),
        ("not for header 4", |world, step| step.certificate = header(world, 5).1),
        ("not for header 4", |_, step| step.header.gas_limit += 1),
        ("known up to height 4", |world, step| *step = self::step(world, 8)),
        ("known up to height 4", |world, step| {
            (step.header, step.certificate) = header(world, 3);
        }),
        ("account in the state of header 4", |_, step| step.members.account.nonce += 1),
        ("account in the state of header 4", |world, step| step.members = self::step(world, 8).members),
        ("account in the state of header 4", |_, step| step.members.nodes.clear()),
        ("in the state of header 4", |_, step| step.members.slots[2].value += U256::ONE),
        ("it is missing", |_, step| drop(step.members.slots.pop())),
        ("the members take 11", |_, step| step.members.slots.push(step.members.slots[0].clone())),
    ];
    let world = short();
    for (index, (problem, alter)) in table.into_iter().enumerate() {
        let mut step = step(&world, 4);
        alter(&world, &mut step);
        let mut client = client(&world);
        let error = client.end_epoch(&step).unwrap_err().to_string();
        assert!(error.contains(problem), "{index}: {error}");
        assert_eq!(client.header().number, 0);
        assert_eq!(members_of(client.validators()), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    }
}

#[test]
fn a_wrong_set_and_a_skipped_epoch_are_refused() {
    let world = short();
    let (target, certificate) = header(&world, 6);
    let error = client(&world).advance(target.clone(), &certificate).unwrap_err();
    assert!(matches!(error, LightClientError::WrongEpoch { number: 6, last: 4 }), "{error}");
    let trusted = world.chain.header(5).unwrap().unwrap();
    let mut misled = client(&world).trusting(trusted, set_of((1..=4).map(|n| (n, 1))));
    let error = misled.advance(target, &certificate).unwrap_err();
    assert!(matches!(error, LightClientError::Certificate { number: 6, .. }), "{error}");
    let too_long = vec![Default::default(); 66];
    let mut step = step(&world, 4);
    step.members.nodes = too_long;
    assert!(client(&world).end_epoch(&step).unwrap_err().to_string().contains("at most 65"));
}

fn epoch(end: u64) -> Epoch {
    Epoch::of(Height::new(end), 4)
}

#[test]
fn a_node_keeps_the_steps_that_a_light_client_needs() {
    let mut world = short();
    for end in [4, 8] {
        assert_eq!(world.chain.epoch_step(epoch(end)).unwrap(), Some(step(&world, end)));
    }
    assert_eq!(world.chain.epoch_step(epoch(12)).unwrap(), None);
    world.run_to(12);
    // With the certificate that is served: as soon as there is another one, that which the chain binds.
    assert_eq!(world.chain.epoch_step(epoch(12)).unwrap(), Some(step(&world, 12)));
    world.asleep = vec![1];
    world.run_to(13);
    for number in 1..=13 {
        let (header, certificate) = header(&world, number);
        let members = number.is_multiple_of(4).then(|| step(&world, number).members);
        let expected = CertifiedHeader { header, certificate, members };
        assert_eq!(world.chain.certified_header(Height::new(number)).unwrap(), Some(expected), "{number}");
    }
    for absent in [0, 14] {
        assert_eq!(world.chain.certified_header(Height::new(absent)).unwrap(), None);
    }
    assert_eq!(world.chain.check(&mut |_| {}).unwrap().first(), &[]);
}

#[test]
fn steps_are_kept_by_who_imports_in_bulk_too() {
    let (world, peer) = (short(), short().peer());
    let mut importer = peer.importer().unwrap();
    for number in 1..=10 {
        let block = world.chain.finalized_block(number).unwrap().unwrap();
        let validators = importer.validators(Height::new(number)).unwrap();
        importer.commit(&CertifiedBlock::verify(block, &validators, &world.context()).unwrap()).unwrap();
    }
    importer.finish().unwrap();
    for end in [4, 8] {
        assert_eq!(peer.epoch_step(epoch(end)).unwrap(), world.chain.epoch_step(epoch(end)).unwrap());
    }
}

#[test]
fn it_goes_on_from_the_head_wherever_that_is() {
    let world = short();
    for head in 1..=9 {
        let peer = world.peer();
        for number in 1..=head {
            let block = world.chain.finalized_block(number).unwrap().unwrap();
            let validators = peer.validators(Height::new(number)).unwrap();
            peer.commit(&CertifiedBlock::verify(block, &validators, &world.context()).unwrap()).unwrap();
        }
        let mut client = peer.light_client_at_head().unwrap();
        let rest = (head + 1..=10).map(|number| world.chain.certified_header(Height::new(number)).unwrap().unwrap());
        assert_eq!(client.follow_linked(rest.collect()).unwrap().len() as u64, 10 - head);
        assert_eq!(client.header().seal(), world.chain.head().hash());
    }
}

#[test]
fn a_proof_row_of_another_epoch_is_found() {
    let world = short();
    let row = world.database.get(Table::EpochProofs, 0u64.to_be_bytes()).unwrap().unwrap();
    let mut batch = Batch::new();
    for epoch in [1u64, 2] {
        batch.put(Table::EpochProofs, epoch.to_be_bytes(), &row);
    }
    world.database.commit(batch).unwrap();
    let findings = world.chain.check(&mut |_| {}).unwrap();
    assert_eq!(findings.count(), 2, "{:?}", findings.first());
}
