//! Value moves exactly as signed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use heddle_e2e::{Network, Rpc, Signed, account, ether, eventually, quantity, transfer, turn, u256};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const SENDERS: u32 = 10;
const TRANSFERS_PER_SENDER: u64 = 200;
const BATCH: usize = 100;

/// A recipient of its own for every sender, with nothing at genesis.
fn recipient(sender: u32) -> Address {
    Address::repeat_byte(0xa0 + u8::try_from(sender).unwrap())
}

/// Every transfer moves another amount.
fn amount(sender: u32, nonce: u64) -> U256 {
    U256::from(u64::from(sender) * 1_000_003 + nonce * 17 + 1)
}

#[tokio::test]
async fn two_thousand_transfers_in_batches_are_all_mined_once_on_all_nodes() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;

    let senders = Vec::from_iter((0..SENDERS).map(account));
    let mut transfers = Vec::new();
    for nonce in 0..TRANSFERS_PER_SENDER {
        for (index, sender) in (0..).zip(&senders) {
            transfers.push(transfer(sender, nonce, recipient(index), amount(index, nonce)));
        }
    }
    for batch in transfers.chunks(BATCH) {
        send(network.rpc(0), batch).await;
    }

    let mut ledgers = Vec::new();
    for node in 0..4 {
        let rpc = network.rpc(node);
        for sender in &senders {
            let what = format!("the last transfer of {} at node {node}", sender.address());
            eventually(&what, async || (rpc.nonce(sender.address()).await == TRANSFERS_PER_SENDER).then_some(())).await;
        }
        let ledger = Ledger::read(rpc).await;
        assert_eq!(ledger.mined.len(), transfers.len(), "node {node}");
        assert!(transfers.iter().all(|sent| ledger.mined.contains(&sent.hash)), "node {node}");
        check_balances(rpc, &ledger, &senders).await;
        ledgers.push(ledger);
    }
    assert!(ledgers.windows(2).all(|pair| pair[0] == pair[1]), "nodes tell different histories");
}

async fn send(rpc: Rpc, batch: &[Signed]) {
    let params = Vec::from_iter(batch.iter().map(|signed| json!([signed.raw])));
    for (signed, result) in batch.iter().zip(rpc.batch("eth_sendRawTransaction", &params).await) {
        let hash = result.unwrap_or_else(|error| panic!("{}: {error:?}", signed.hash));
        assert_eq!(hash.as_str(), Some(&*signed.hash.to_string()));
    }
}

/// What the receipts of all blocks say was mined and paid.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ledger {
    mined: BTreeSet<B256>,
    paid_by_sender: BTreeMap<Address, U256>,
    earned_by_proposer: BTreeMap<Address, U256>,
}

impl Ledger {
    /// Reads every block in which there is a transaction; the chain has no others than the test's.
    async fn read(rpc: Rpc) -> Self {
        let mut ledger = Self::default();
        for number in 1..=rpc.height().await {
            let block = rpc.block(number).await;
            let base_fee = u256(&block["baseFeePerGas"]);
            let proposer: Address = serde_json::from_value(block["miner"].clone()).unwrap();
            let receipts = rpc.call("eth_getBlockReceipts", json!([format!("{number:#x}")])).await;
            let receipts = receipts.as_array().unwrap();
            assert_eq!(block["transactions"].as_array().unwrap().len(), receipts.len(), "block {number}");
            for receipt in receipts {
                assert_eq!(quantity(&receipt["status"]), 1, "{receipt}");
                let hash = serde_json::from_value(receipt["transactionHash"].clone()).unwrap();
                assert!(ledger.mined.insert(hash), "{hash} is mined twice");
                let (gas, price) = (u256(&receipt["gasUsed"]), u256(&receipt["effectiveGasPrice"]));
                let sender = serde_json::from_value(receipt["from"].clone()).unwrap();
                *ledger.paid_by_sender.entry(sender).or_default() += gas * price;
                *ledger.earned_by_proposer.entry(proposer).or_default() += gas * (price - base_fee);
            }
        }
        ledger
    }
}

async fn check_balances(rpc: Rpc, ledger: &Ledger, senders: &[PrivateKeySigner]) {
    for (index, sender) in (0..).zip(senders) {
        let moved = (0..TRANSFERS_PER_SENDER).map(|nonce| amount(index, nonce)).sum::<U256>();
        let left = ether(10_000) - moved - ledger.paid_by_sender[&sender.address()];
        assert_eq!(rpc.balance(sender.address()).await, left, "sender {index}");
        assert_eq!(rpc.balance(recipient(index)).await, moved, "recipient {index}");
    }
    for (proposer, earned) in &ledger.earned_by_proposer {
        assert_eq!(rpc.balance(*proposer).await, *earned, "proposer {proposer}");
    }
}

#[tokio::test]
async fn a_transaction_sent_to_one_node_is_mined_by_another() {
    const TRANSFERS: u64 = 6;
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    let follower = network.add_follower();
    network.start_all().await;
    let sender = account(0);

    // Proposers take turns, so of a few blocks in a row node 1 proposes at most every fourth.
    let own = network.fee_recipient(1).await;
    let mut proposers = BTreeSet::new();
    for nonce in 0..TRANSFERS {
        proposers.insert(send_and_wait(network.rpc(1), &transfer(&sender, nonce, recipient(0), ether(1))).await);
    }
    assert!(proposers.iter().any(|proposer| *proposer != own), "{proposers:?}");

    // A node that never proposes depends on gossip altogether.
    let rpc = network.rpc(follower);
    send_and_wait(rpc, &transfer(&sender, TRANSFERS, recipient(0), ether(1))).await;
    assert_eq!(rpc.balance(recipient(0)).await, ether(TRANSFERS + 1));
}

/// Returns the fee recipient of the block that the transaction is in.
async fn send_and_wait(rpc: Rpc, signed: &Signed) -> Address {
    send(rpc, std::slice::from_ref(signed)).await;
    let receipt = eventually(&format!("the receipt of {}", signed.hash), async || rpc.receipt(signed.hash).await).await;
    assert_eq!(quantity(&receipt["status"]), 1, "{receipt}");
    let block = rpc.block(quantity(&receipt["blockNumber"])).await;
    serde_json::from_value(block["miner"].clone()).unwrap()
}
