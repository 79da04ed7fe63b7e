//! What holds after any sequence of additions, commits, removals and expiries.

use super::*;
use alloy_consensus::Transaction as _;
use proptest::prelude::*;
use std::collections::BTreeMap;

const COUNT_MAX: usize = 12;
const SENDER_COUNT_MAX: usize = 5;
const SENDERS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    Add {
        sender: u8,
        nonce: u64,
        tip: u128,
        fee_cap: u128,
        data: usize,
    },
    /// A block takes the best so many, and sets the base fee and each sender's balance.
    Commit {
        taken: usize,
        base_fee: u64,
        balance: u64,
    },
    RemoveInvalid {
        index: usize,
    },
    Expire {
        seconds: u64,
    },
}

fn some_step() -> impl Strategy<Value = Step> {
    let add = (1..=SENDERS, 0..7u64, 1..60u128, 60..240u128, prop_oneof![Just(0), Just(100), Just(60_000)])
        .prop_map(|(sender, nonce, tip, fee_cap, data)| Step::Add { sender, nonce, tip, fee_cap, data });
    let commit = (0..4usize, 50..200u64, 4_000_000..200_000_000u64)
        .prop_map(|(taken, base_fee, balance)| Step::Commit { taken, base_fee, balance });
    prop_oneof![
        12 => add,
        2 => commit,
        1 => (0..COUNT_MAX).prop_map(|index| Step::RemoveInvalid { index }),
        1 => (0..20_000u64).prop_map(|seconds| Step::Expire { seconds }),
    ]
}

fn run(fixture: &mut Fixture, step: Step) {
    match step {
        Step::Add { sender, nonce, tip, fee_cap, data } => {
            let before = fixture.content();
            let result = fixture.add(draft(sender, nonce).fees(fee_cap, tip).data(data));
            assert_departures(before, fixture.content(), sender, result.is_ok());
        }
        Step::Commit { taken, base_fee, balance } => {
            let mut nonces: BTreeMap<u8, u64> = (1..=SENDERS)
                .map(|sender| (sender, fixture.accounts.get(&address(sender)).map_or(0, |account| account.nonce)))
                .collect();
            for (sender, nonce) in fixture.best().into_iter().take(taken) {
                nonces.insert(sender, nonce + 1);
            }
            let account = |nonce| SenderAccount { nonce, ..with_balance(balance) };
            let changed = Vec::from_iter(nonces.into_iter().map(|(sender, nonce)| (sender, account(nonce))));
            let number = fixture.pool.head().number + 1;
            fixture.commit(HeadInfo { next_base_fee: base_fee, ..head(number) }, &changed);
        }
        Step::RemoveInvalid { index } => {
            let hash = fixture.pool.content().pending.values().flatten().nth(index).map(|tx| tx.hash());
            assert_eq!(fixture.pool.remove_invalid(hash.as_slice()), usize::from(hash.is_some()));
        }
        Step::Expire { seconds } => {
            fixture.pass(Duration::from_secs(seconds));
            fixture.pool.expire(fixture.now);
        }
    }
}

/// An addition makes others leave only from the ends of their senders' nonces, and a refused one nobody.
fn assert_departures(before: Content, after: Content, newcomer: u8, added: bool) {
    let all = |(pending, queued): Content| [pending, queued].concat();
    let (before, after) = (all(before), all(after));
    if !added {
        assert_eq!(before.len(), after.len());
    }
    for (sender, nonce) in before.iter().filter(|gone| !after.contains(gone) && gone.0 != newcomer) {
        assert!(!after.iter().any(|(s, n)| s == sender && n > nonce), "{sender}:{nonce} left before its followers");
    }
}

/// The derived numbers are those of the content, and within their bounds.
fn assert_bounds(fixture: &Fixture, bytes_max: usize) {
    let (content, status) = (fixture.pool.content(), fixture.pool.status());
    let count = |side: &BTreeMap<_, Vec<_>>| side.values().map(Vec::len).sum::<usize>();
    assert_eq!((count(&content.pending), count(&content.queued)), (status.pending, status.queued));
    let all = || content.pending.values().chain(content.queued.values()).flatten();
    assert_eq!(all().map(|tx| tx.size()).sum::<usize>(), status.bytes);
    assert!(status.bytes <= bytes_max);
    assert!(all().count() <= COUNT_MAX);
    for sender in (1..=SENDERS).map(address) {
        assert!(all().filter(|tx| tx.sender() == sender).count() <= SENDER_COUNT_MAX);
    }
}

/// Pending: from the account's nonce on, without a gap, and paid for. Queued: everything else.
fn assert_pending(fixture: &Fixture) {
    let content = fixture.pool.content();
    for (sender, pending) in &content.pending {
        let account = fixture.accounts.get(sender).copied().unwrap_or(rich());
        let nonces = Vec::from_iter(pending.iter().map(|tx| tx.nonce()));
        assert_eq!(nonces, Vec::from_iter((account.nonce..).take(pending.len())));
        let cost: U256 = pending.iter().map(|tx| tx.cost()).sum();
        assert!(cost <= account.balance);
        let next = account.nonce + pending.len() as u64;
        assert_eq!(fixture.pool.pending_nonce(sender), Some(next));
        let follower = content.queued.get(sender).and_then(|queued| queued.first()).filter(|tx| tx.nonce() == next);
        assert!(follower.is_none_or(|tx| cost + tx.cost() > account.balance), "it should be pending");
    }
}

/// Every sender's nonces rise by one, and no other sender's next transaction ever has a greater tip than the one taken.
fn assert_best(fixture: &Fixture) {
    let base_fee = fixture.pool.head().next_base_fee;
    let mut waiting = fixture.pool.content().pending;
    let tip = |tx: &Arc<PoolTransaction>| tx.recovered().effective_tip_per_gas(base_fee);
    for taken in fixture.pool.best() {
        let greatest = waiting.values().filter_map(|rest| tip(rest.first()?)).max();
        assert_eq!(taken.effective_tip_per_gas(base_fee), greatest);
        let rest = waiting.get_mut(&taken.signer()).unwrap();
        assert_eq!(rest.remove(0).hash(), *taken.tx_hash());
    }
    assert!(waiting.values().all(|rest| rest.first().and_then(tip).is_none()), "a payable one was left");
    assert_eq!(fixture.best(), fixture.best());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_step_keeps_bounds_and_order(steps in proptest::collection::vec(some_step(), 1..80)) {
        let bytes_max = 150_000;
        let config = MempoolConfig {
            transactions_max: COUNT_MAX,
            bytes_max,
            sender_transactions_max: SENDER_COUNT_MAX,
            ..MempoolConfig::default()
        };
        let mut fixture = Fixture::with(config);
        for step in steps {
            run(&mut fixture, step);
            assert_bounds(&fixture, bytes_max);
            assert_pending(&fixture);
            assert_best(&fixture);
        }
    }
}
