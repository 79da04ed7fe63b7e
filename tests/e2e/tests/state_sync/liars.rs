//! A peer that offers what honest ones offer, and serves something else.

use crate::fixture::{add_joiner, check_database, check_follows, slow_network, wait_state};
use crate::hostile::Relay;
use alloy_primitives::{B256, Bytes, U256};
use heddle_e2e::turn;
use heddle_primitives::Response;

fn balance(response: &mut Response) {
    if let Response::Accounts(range) = response
        && let Some(leaf) = range.accounts.first_mut()
    {
        leaf.account.balance += U256::ONE;
    }
}

fn slot(response: &mut Response) {
    if let Response::Storage(ranges) = response
        && let Some(leaf) = ranges.accounts.last_mut().and_then(|slots| slots.last_mut())
    {
        leaf.value += U256::ONE;
    }
}

fn code(response: &mut Response) {
    if let Response::Code(codes) = response {
        codes.iter_mut().for_each(|code| *code = Bytes::from_static(b"other code"));
    }
}

fn offer(response: &mut Response) {
    if let Response::Snapshots(offers) = response {
        offers.iter_mut().for_each(|offer| offer.hash = B256::repeat_byte(0x66));
    }
}

#[tokio::test]
async fn whoever_serves_another_state_is_named_and_banned_and_the_state_is_right() {
    let _turn = turn().await;
    let mut network = slow_network().await;
    for (lie, words) in [
        (balance as fn(&mut Response), "sent what is not of the state"),
        (slot, "sent what is not of the state"),
        (code, "sent what is not of the state"),
        (offer, "offered the state after block"),
    ] {
        let liar = Relay::connect(&network, lie).await;
        let node = add_joiner(&mut network);
        let known = vec![liar.address(), network.addresses()[0].as_str().unwrap().to_owned()];
        // With nobody else to ask, the liar is asked, too.
        network.configure(node, |toml| {
            toml.insert("persistent-peers".into(), known.into());
            toml.insert("reserved-only".into(), true.into());
        });
        network.start(node).await;
        let began = wait_state(&mut network, node).await;
        let named = format!("peer={}", liar.peer_id());
        for words in [format!("{named} fault={words}"), format!("peer banned {named}")] {
            network.process(node).line(&words).await;
        }
        check_follows(&mut network, node, began).await;
        network.stop(node).await;
        assert!(check_database(&network, node).await > began);
    }
}
