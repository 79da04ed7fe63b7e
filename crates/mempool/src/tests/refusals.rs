//! Every refusal, in go-ethereum's words.

use super::*;
use crate::{ChainReadError, Fault};

/// A pool in some state, what is added to it, and what it answers.
struct Case {
    expected: &'static str,
    fault: Fault,
    fixture: Fixture,
    raw: Bytes,
}

fn case(expected: &'static str, fault: Fault, fixture: Fixture, draft: Draft) -> Case {
    Case { expected, fault, fixture, raw: draft.encode() }
}

fn check(cases: Vec<Case>) {
    for Case { expected, fault, mut fixture, raw } in cases {
        let before = fixture.content();
        let error = fixture.add_raw(&raw).expect_err(expected);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.fault(), fault, "{expected}");
        assert_eq!(fixture.content(), before, "a refusal must change nothing: {expected}");
    }
}

#[test]
fn what_is_no_transaction_is_the_peers_fault() {
    let raw = |expected, raw: &[u8]| Case {
        expected,
        fault: Fault::Peer,
        fixture: Fixture::new(),
        raw: Bytes::copy_from_slice(raw),
    };
    let encoded = draft(1, 0).encode();
    let mut longer = encoded.to_vec();
    longer.push(0);
    check(vec![
        raw("rlp: input too short", &[]),
        raw("rlp: unexpected string", &[0x80]),
        raw("rlp: input too short", &[2]),
        raw("rlp: input too short", &encoded[..encoded.len() - 1]),
        raw("rlp: unexpected length", &longer),
        raw("transaction type not supported: tx type 0 not supported by this pool", &[0, 0xc0]),
        raw("transaction type not supported: tx type 9 not supported by this pool", &[9, 0xc0]),
        raw("oversized data: transaction size 131073, limit 131072", &[2; 131_073]),
        raw("transaction type not supported: blob transactions are not enabled on this chain", &[3; 200_000]),
    ]);
}

#[test]
fn what_no_block_can_hold_is_the_peers_fault() {
    let peer = |expected, draft| case(expected, Fault::Peer, Fixture::new(), draft);
    check(vec![
        peer(
            "transaction type not supported: blob transactions are not enabled on this chain",
            Draft { kind: 3, ..draft(1, 0) },
        ),
        peer(
            "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: 300, maxFeePerGas: 200",
            draft(1, 0).fees(200, 300),
        ),
        peer(
            "invalid sender: invalid chain id for signer: have 1 want 31337",
            Draft { chain_id: Some(1), ..draft(1, 0) },
        ),
        peer("nonce has max value", draft(1, u64::MAX)),
        peer("set code tx must have at least one authorization tuple", Draft { kind: 4, gas: 100_000, ..draft(1, 0) }),
    ]);
}

#[test]
fn a_malleable_signature_is_refused() {
    let Transaction::Eip1559(signed) = draft(1, 0).sign() else { panic!("a draft is EIP-1559") };
    let (transaction, signature, _) = signed.into_parts();
    let order = alloy_consensus::crypto::SECP256K1N_HALF * U256::from(2) + U256::from(1);
    let high = Signature::new(signature.r(), order - signature.s(), !signature.v());
    let raw = Transaction::from(transaction.into_signed(high)).encoded_2718().into();
    let expected = "invalid sender: invalid transaction v, r, s values";
    check(vec![Case { expected, fault: Fault::Peer, fixture: Fixture::new(), raw }]);
}

#[test]
fn what_the_next_block_cannot_hold_is_the_callers_fault() {
    let caller = |expected, draft| case(expected, Fault::Caller, Fixture::new(), draft);
    let create = Draft { to: TxKind::Create, ..draft(1, 0) };
    check(vec![
        caller("max initcode size exceeded: code size 49153, limit 49152", create.clone().data(49_153)),
        caller(
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
            Draft { gas: 16_777_217, ..draft(1, 0) },
        ),
        caller("exceeds block gas limit", Draft { gas: 30_000_001, ..draft(1, 0) }),
        caller("intrinsic gas too low: gas 20999, minimum needed 21000", Draft { gas: 20_999, ..draft(1, 0) }),
        caller("intrinsic gas too low: gas 52999, minimum needed 53000", Draft { gas: 52_999, ..create }),
        // 100 zero bytes: 4 gas each to execute, but at least 10 each (EIP-7623).
        caller(
            "insufficient gas for floor data gas cost: gas 21999, minimum needed 22000",
            Draft { gas: 21_999, ..draft(1, 0).data(100) },
        ),
        caller("transaction underpriced: gas tip cap 0, minimum needed 1", draft(1, 0).tip(0)),
    ]);
}

#[test]
fn what_the_account_does_not_allow_is_the_callers_fault() {
    let caller = |expected, fixture, draft| case(expected, Fault::Caller, fixture, draft);
    let of = |account| Fixture::new().account(1, account);
    let cost = 21_000 * 2 * BASE_FEE; // of a draft
    let contract = SenderAccount { code: AccountCode::Contract, ..rich() };
    check(vec![
        caller("already known", Fixture::new().holding([draft(1, 0)]), draft(1, 0)),
        caller("nonce too low: next nonce 5, tx nonce 3", of(with_nonce(5)), draft(1, 3)),
        caller(
            "insufficient funds for gas * price + value: balance 4199999, tx cost 4200000, overshot 1",
            of(with_balance(cost - 1)),
            draft(1, 0),
        ),
        caller(
            "insufficient funds for gas * price + value: balance 8399999, queued cost 4200000, tx cost 4200000, \
             overshot 1",
            of(with_balance(2 * cost - 1)).holding([draft(1, 0)]),
            draft(1, 1),
        ),
        caller(
            "insufficient funds for gas * price + value: balance 8400000, queued cost 8400000, tx bumped 2100000, \
             overshot 2100000",
            of(with_balance(2 * cost)).holding([draft(1, 0), draft(1, 1)]),
            draft(1, 1).fees(300, 20),
        ),
        caller("replacement transaction underpriced", Fixture::new().holding([draft(1, 0)]), draft(1, 0).fees(219, 11)),
        caller("replacement transaction underpriced", Fixture::new().holding([draft(1, 0)]), draft(1, 0).fees(220, 10)),
        caller("sender not an eoa: address 0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1", of(contract), draft(1, 0)),
    ]);
}

#[test]
fn what_does_not_fit_is_the_callers_fault() {
    let caller = |expected, fixture, draft| case(expected, Fault::Caller, fixture, draft);
    let two_each = || Fixture::with(MempoolConfig { sender_transactions_max: 2, ..MempoolConfig::default() });
    let two = || Fixture::with(MempoolConfig { transactions_max: 2, ..MempoolConfig::default() });
    check(vec![
        caller("account limit exceeded: pooled 2 txs", two_each().holding([draft(1, 0), draft(1, 9)]), draft(1, 1)),
        caller("transaction underpriced", two().holding([draft(1, 0).tip(5), draft(2, 0).tip(6)]), draft(3, 0).tip(5)),
        caller(
            "future transaction tries to replace pending",
            two().holding([draft(1, 0).tip(5), draft(2, 0).tip(6)]),
            draft(3, 1).tip(50),
        ),
        caller("txpool is full", two().holding([draft(1, 0).tip(5), draft(2, 0).tip(6)]), draft(1, 1).tip(50)),
    ]);
}

#[test]
fn delegated_accounts_have_one_transaction_in_flight() {
    let caller = |expected, fixture, draft| case(expected, Fault::Caller, fixture, draft);
    let delegated = || Fixture::new().account(1, SenderAccount { code: AccountCode::Delegation, ..rich() });
    check(vec![
        caller(
            "in-flight transaction limit reached for delegated accounts",
            delegated().holding([draft(1, 0)]),
            draft(1, 1),
        ),
        caller("gapped-nonce tx from delegated accounts", delegated(), draft(1, 1)),
        // A delegation in the pool counts as well.
        caller(
            "in-flight transaction limit reached for delegated accounts",
            Fixture::new().holding([draft(1, 0), draft(2, 0).authorize(1)]),
            draft(1, 1),
        ),
        caller(
            "authority already reserved",
            Fixture::new().holding([draft(1, 0), draft(1, 1)]),
            draft(2, 0).authorize(1),
        ),
    ]);
    delegated().holding([draft(1, 0), draft(1, 0).fees(220, 11)]);
}

#[test]
fn a_chain_that_cannot_be_read_is_ours() {
    let error = PoolError::from(ChainReadError::new("disk on fire"));
    assert_eq!(error.fault(), Fault::Ours);
    assert_eq!(error.to_string(), "cannot read the sender's account: disk on fire");
}

#[test]
fn every_transaction_type_of_osaka_but_blobs_is_accepted() {
    let mut fixture = Fixture::new();
    for (nonce, kind) in [0, 1, 2].into_iter().enumerate() {
        fixture.add(Draft { kind, ..draft(1, nonce as u64) }).unwrap();
    }
    fixture.add(draft(1, 3).authorize(2)).unwrap();
    // From before EIP-155: the presigned deployments that tools rely on.
    fixture.add(Draft { kind: 0, chain_id: None, ..draft(1, 4) }).unwrap();
    assert_eq!(fixture.counts(), (5, 0));
}

#[test]
fn amsterdam_changes_what_a_transaction_costs_at_least() {
    let mut fixture = Fixture::new();
    let to_itself = Draft { to: TxKind::Call(address(1)), gas: 12_000, ..draft(1, 0) };
    let error = fixture.add(to_itself.clone()).unwrap_err();
    assert_eq!(error.to_string(), "intrinsic gas too low: gas 12000, minimum needed 21000");
    fixture.commit(HeadInfo { timestamp: AMSTERDAM_TIME, ..head(2) }, &[]);
    fixture.add(to_itself).unwrap();
    // Gas for growth of the state is not capped, but the block is.
    fixture.add(Draft { gas: 20_000_000, ..draft(2, 0) }).unwrap();
    fixture.add(Draft { gas: 30_000_001, ..draft(3, 0) }).unwrap_err();
    fixture.add(Draft { to: TxKind::Create, ..draft(4, 0) }.data(65_536)).unwrap_err();
}
