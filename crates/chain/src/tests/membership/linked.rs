//! A light client follows a real chain header by header.

use super::light_client::{client, header, step};
use super::world::{World, addCall, administered, key, members_of, removeCall};
use alloy_primitives::{Address, B256};
use heddle_primitives::{CertifiedHeader, Epoch, Height, LightClient, LightClientError, VerifiedHeader};
use std::ops::RangeInclusive;

const EPOCH: u64 = 4;

/// Members come and go in the first epochs.
fn world(blocks: u64) -> World {
    let world = World::start(administered(), EPOCH);
    for epoch in 0..4u64 {
        world.run_to(epoch * EPOCH + 1);
        let is_done = match epoch % 2 {
            0 => world.does(addCall { key: key(5 + (epoch / 2) as u8), power: 3, feeRecipient: Address::ZERO }),
            _ => world.does(removeCall { key: key(1 + (epoch / 2) as u8) }),
        };
        assert!(is_done, "epoch {epoch}");
    }
    world.run_to(blocks);
    world
}

/// What a node sends of these heights.
fn headers(world: &World, numbers: RangeInclusive<u64>) -> Vec<CertifiedHeader> {
    let certified = |number| {
        let (header, certificate) = header(world, number);
        let is_last = Epoch::is_last(Height::new(number), EPOCH);
        CertifiedHeader { header, certificate, members: is_last.then(|| step(world, number).members) }
    };
    numbers.map(certified).collect()
}

fn hashes(verified: &[VerifiedHeader]) -> Vec<B256> {
    verified.iter().map(|verified| verified.header().seal()).collect()
}

fn expected(world: &World, numbers: RangeInclusive<u64>) -> Vec<B256> {
    numbers.map(|number| world.chain.header(number).unwrap().unwrap().seal()).collect()
}

#[test]
fn batches_of_any_length_lead_over_epochs_whose_members_change() {
    let world = world(30);
    for length in [1, 3, 4, 7, 30] {
        let mut client = client(&world);
        let mut followed = Vec::new();
        for batch in headers(&world, 1..=30).chunks(length) {
            let verified = client.follow_linked(batch.to_vec()).unwrap();
            assert_eq!(verified.len(), batch.len(), "batches of {length}");
            assert!(verified.iter().zip(batch).all(|(verified, sent)| *verified.certificate() == sent.certificate));
            followed.extend(hashes(&verified));
        }
        assert_eq!(followed, expected(&world, 1..=30), "batches of {length}");
        assert_eq!(client.header().seal(), world.chain.head().hash());
        assert_eq!(members_of(client.validators()), world.members());
    }
}

/// As a node starts that has the chain up to a height.
fn resuming(world: &World, number: u64) -> LightClient {
    let validators = world.chain.validators(Height::new(number + 1)).unwrap();
    client(world).trusting(world.chain.header(number).unwrap().unwrap(), (*validators).clone())
}

#[test]
fn it_resumes_at_every_height() {
    let world = world(30);
    for number in 0..30 {
        let mut client = resuming(&world, number);
        assert!(client.last_known() > number, "who decides the next height is known");
        let verified = client.follow_linked(headers(&world, number + 1..=30)).unwrap();
        assert_eq!(hashes(&verified), expected(&world, number + 1..=30), "from {number}");
    }
}

#[test]
fn it_stops_where_nobody_says_who_comes_next() {
    let world = world(30);
    for (without, proven) in [(4, 4), (8, 8), (28, 28)] {
        let mut sent = headers(&world, 1..=30);
        sent[without - 1].members = None;
        // Members of another height's state are of no use either, but do not stand where they are looked for.
        sent[without - 2].members = Some(step(&world, 4).members);
        let mut client = client(&world);
        let verified = client.follow_linked(sent).unwrap();
        assert_eq!(hashes(&verified), expected(&world, 1..=proven));
        assert_eq!((client.header().number, client.last_known()), (proven, proven));
        assert!(client.follow_linked(headers(&world, proven + 1..=30)).unwrap().is_empty());
        // The end of the epoch alone leads on.
        client.end_epoch(&step(&world, proven)).unwrap();
        assert_eq!(client.follow_linked(headers(&world, proven + 1..=30)).unwrap().len() as u64, 30 - proven);
    }
}

#[test]
fn what_is_wrong_is_named_by_its_height_and_leads_nowhere() {
    type Alter = fn(&World, &mut Vec<CertifiedHeader>);
    // What is wrong, and how far the client comes: through the epochs before.
    let table: [(&str, u64, Alter); 14] = [
        ("header 2 names", 0, |_, sent| drop(sent.remove(0))),
        ("header 7 names", 4, |_, sent| drop(sent.remove(5))),
        ("header 1 names", 0, |_, sent| sent.insert(1, sent[0].clone())),
        ("header 4 names", 0, |_, sent| sent[..4].reverse()),
        ("header 6 names", 4, |_, sent| sent[5].header.parent_hash = B256::repeat_byte(7)),
        ("not for header 6", 4, |_, sent| sent[5].header.gas_limit += 1),
        ("not for header 6", 4, |_, sent| sent[5].certificate = sent[6].certificate.clone()),
        ("certificate of header 6: ", 4, |_, sent| sent[5].certificate.signatures.truncate(1)),
        ("certificate of header 6: ", 4, |_, sent| sent[5].certificate.signatures.clear()),
        ("certificate of header 6: ", 4, |_, sent| {
            let other = sent[6].certificate.signatures[0].signature;
            sent[5].certificate.signatures[0].signature = other;
        }),
        ("certificate of header 30: ", 28, |_, sent| {
            let other = sent[28].certificate.signatures[0].signature;
            sent[29].certificate.signatures[0].signature = other;
        }),
        ("certificate of header 1: ", 0, |_, sent| {
            let repeated = sent[0].certificate.signatures[0].clone();
            sent[0].certificate.signatures = vec![repeated; 4];
        }),
        ("in the state of header 8", 8, |world, sent| sent[7].members = Some(step(world, 12).members)),
        ("account in the state of header 8", 8, |_, sent| {
            sent[7].members.as_mut().unwrap().account.nonce += 1;
        }),
    ];
    let world = world(30);
    for (index, (problem, reached, alter)) in table.into_iter().enumerate() {
        let mut sent = headers(&world, 1..=30);
        alter(&world, &mut sent);
        let mut client = client(&world);
        let error = client.follow_linked(sent).unwrap_err().to_string();
        assert!(error.contains(problem), "{index}: {error}");
        assert_eq!(client.header().number, reached, "{index}");
        // From there on it goes the right way.
        let rest = headers(&world, reached + 1..=30);
        match client.follow_linked(rest) {
            Ok(verified) if client.last_known() > reached => assert_eq!(verified.len() as u64, 30 - reached, "{index}"),
            other => assert!(other.is_ok_and(|verified| verified.is_empty()) && reached == 8, "{index}"),
        }
    }
}

#[test]
fn a_set_that_does_not_decide_is_not_believed() {
    let world = world(30);
    let old = world.chain.genesis().heddle().unwrap().validators.clone();
    let mut misled = client(&world).trusting(world.chain.header(12).unwrap().unwrap(), old);
    let error = misled.follow_linked(headers(&world, 13..=30)).unwrap_err();
    assert!(matches!(error, LightClientError::Certificate { number: 13, .. }), "{error}");
    assert!(client(&world).follow_linked(Vec::new()).unwrap().is_empty());
}
