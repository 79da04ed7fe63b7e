//! The rules of transactions, one broken at a time.

use super::chain::{CHAIN_ID, TestChain, address, sign, signer};
use crate::{ExecutionError, TransactionError as E, recover_sender, transact};
use alloy_consensus::{
    SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, transaction::SignerRecoverable,
};
use alloy_eips::{eip2930::AccessList, eip7702::Authorization};
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, Signature, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use heddle_primitives::{Header, RecoveredTransaction, Transaction};

fn error(chain: &TestChain, header: &Header, transaction: &RecoveredTransaction) -> E {
    match transact(&chain.rules, &chain.state, header, transaction) {
        Err(ExecutionError::InvalidTransaction { error, .. }) => *error,
        other => panic!("{other:?}"),
    }
}

fn eip1559() -> TxEip1559 {
    TxEip1559 { to: TxKind::Call(address(0xaa)), ..super::chain::transaction() }
}

fn eip4844() -> TxEip4844 {
    TxEip4844 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 10_000_000_000,
        max_fee_per_blob_gas: 1,
        blob_versioned_hashes: vec![hash_of_version(1)],
        ..TxEip4844::default()
    }
}

fn hash_of_version(version: u8) -> B256 {
    let mut hash = B256::repeat_byte(7);
    hash[0] = version;
    hash
}

fn eip7702(chain: &TestChain) -> TxEip7702 {
    let authorization = Authorization { chain_id: U256::ZERO, address: address(0xbb), nonce: 0 };
    let signature = chain.signer.sign_hash_sync(&authorization.signature_hash()).unwrap();
    TxEip7702 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 10_000_000_000,
        to: address(0xaa),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    }
}

#[test]
fn every_broken_rule_is_named() {
    let chain = TestChain::heddle(&[]);
    let header = Header { base_fee_per_gas: Some(1_000), ..chain.next_header() };
    let check = |transaction: RecoveredTransaction, expected: E| {
        assert_eq!(error(&chain, &header, &transaction), expected);
    };
    let signed = |transaction: TxEip1559| sign(&chain.signer, transaction);
    let balance = chain.state.balance(chain.signer.address());
    let fees = U256::from(200_000_u64) * U256::from(10_000_000_000_u64);

    check(signed(TxEip1559 { chain_id: 7, ..eip1559() }), E::ChainId { got: 7, expected: CHAIN_ID });
    check(signed(TxEip1559 { nonce: 3, ..eip1559() }), E::NonceTooHigh { got: 3, expected: 0 });
    check(signed(TxEip1559 { nonce: u64::MAX, ..eip1559() }), E::NonceOverflow);
    check(signed(TxEip1559 { value: balance, ..eip1559() }), E::Funds { balance, cost: balance + fees });
    check(signed(TxEip1559 { value: U256::MAX, ..eip1559() }), E::CostOverflow);
    let priority = E::PriorityFee { priority_fee: 1_000_000_000, max_fee: 999_999_999 };
    check(signed(TxEip1559 { max_fee_per_gas: 999_999_999, ..eip1559() }), priority);
    let cheap = TxEip1559 { max_fee_per_gas: 999, max_priority_fee_per_gas: 0, ..eip1559() };
    check(signed(cheap), E::BaseFee { max_fee: 999, base_fee: 1_000 });
    let cap = 1 << 24;
    check(signed(TxEip1559 { gas_limit: cap + 1, ..eip1559() }), E::GasLimitCap { gas_limit: cap + 1, cap });
    let intrinsic = TxEip1559 { gas_limit: 20_999, ..eip1559() };
    check(signed(intrinsic), E::IntrinsicGas { gas_limit: 20_999, intrinsic: 21_000 });
    let floor = TxEip1559 { gas_limit: 60_000, input: vec![1; 1_000].into(), ..eip1559() };
    check(signed(floor), E::FloorGas { gas_limit: 60_000, floor: 61_000 });
    let init_code = Bytes::from(vec![0; 49_153]);
    let large = TxEip1559 { gas_limit: cap, to: TxKind::Create, input: init_code, ..eip1559() };
    check(signed(large), E::InitCodeSize { size: 49_153, max: 49_152 });

    check(sign(&chain.signer, TxEip4844 { blob_versioned_hashes: vec![], ..eip4844() }), E::BlobsMissing);
    let seven = vec![hash_of_version(1); 7];
    check(
        sign(&chain.signer, TxEip4844 { blob_versioned_hashes: seven, ..eip4844() }),
        E::BlobCount { count: 7, max: 6 },
    );
    let other = vec![hash_of_version(1), hash_of_version(2)];
    check(sign(&chain.signer, TxEip4844 { blob_versioned_hashes: other, ..eip4844() }), E::BlobVersion);
    let free = TxEip4844 { max_fee_per_blob_gas: 0, ..eip4844() };
    check(sign(&chain.signer, free), E::BlobFee { max_fee: 0, base_fee: 1 });
    check(sign(&chain.signer, TxEip7702 { authorization_list: vec![], ..eip7702(&chain) }), E::AuthorizationsMissing);
}

#[test]
fn rules_of_the_sender_and_the_block_are_named() {
    let mut chain = TestChain::heddle(&[]);
    let header = Header { gas_limit: 100_000, ..chain.next_header() };
    let block_gas = E::BlockGas { gas_limit: 200_000, available: 100_000 };
    assert_eq!(error(&chain, &header, &sign(&chain.signer, eip1559())), block_gas);

    let header = chain.next_header();
    let sender = chain.signer.address();
    chain.state.accounts.get_mut(&sender).unwrap().nonce = 5;
    let stale = error(&chain, &header, &sign(&chain.signer, eip1559()));
    assert_eq!(stale, E::NonceTooLow { got: 0, expected: 5 });

    let code = Bytes::from_static(&[0]);
    let account = chain.state.accounts.get_mut(&sender).unwrap();
    (account.nonce, account.code_hash) = (0, keccak256(&code));
    chain.state.code.insert(keccak256(&code), code);
    assert_eq!(error(&chain, &header, &sign(&chain.signer, eip1559())), E::SenderCode);
    chain.state.accounts.get_mut(&sender).unwrap().code_hash = KECCAK256_EMPTY;
    transact(&chain.rules, &chain.state, &header, &sign(&chain.signer, eip1559())).unwrap();
}

#[test]
fn transaction_types_wait_for_their_fork() {
    let forks = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0"#;
    let header = Header {
        number: 1,
        timestamp: 1,
        gas_limit: 30_000_000,
        difficulty: U256::from(1),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    let runs = |config: String, header: &Header| {
        let chain = TestChain::with_config(&config, &[]);
        let eip2930 = TxEip2930 {
            chain_id: CHAIN_ID,
            gas_limit: 100_000,
            gas_price: 1 << 34,
            access_list: AccessList::default(),
            to: TxKind::Call(address(0xaa)),
            ..TxEip2930::default()
        };
        let transactions = [
            sign(&chain.signer, eip2930),
            sign(&chain.signer, eip1559()),
            sign(&chain.signer, eip4844()),
            sign(&chain.signer, eip7702(&chain)),
        ];
        transactions.map(|transaction| match transact(&chain.rules, &chain.state, header, &transaction) {
            Ok(_) => true,
            Err(ExecutionError::InvalidTransaction { error, .. }) => {
                assert_eq!(*error, E::TypeNotActive(transaction.tx_type().into()));
                false
            }
            Err(error) => panic!("{error}"),
        })
    };
    assert_eq!(runs(forks.to_owned(), &header), [false; 4]);
    let berlin = format!("{forks},\"berlinBlock\":0");
    assert_eq!(runs(berlin.clone(), &header), [true, false, false, false]);
    let london = format!("{berlin},\"londonBlock\":0");
    assert_eq!(runs(london.clone(), &header), [true, true, false, false]);
    let merged = Header { difficulty: U256::ZERO, ..header };
    let cancun = format!("{london},\"terminalTotalDifficulty\":0,\"shanghaiTime\":0,\"cancunTime\":0");
    assert_eq!(runs(cancun.clone(), &merged), [true, true, true, false]);
    assert_eq!(runs(format!("{cancun},\"pragueTime\":0"), &merged), [true; 4]);
}

#[test]
fn signature_rules_begin_with_their_forks() {
    let config = r#""homesteadBlock":10,"eip150Block":20,"eip155Block":20,"eip158Block":20"#;
    let chain = TestChain::with_config(config, &[]);
    let high_s = |transaction: TxLegacy| {
        let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16);
        let signature = signer(1).sign_hash_sync(&transaction.signature_hash()).unwrap();
        let mirrored = Signature::new(signature.r(), order.unwrap() - signature.s(), !signature.v());
        Transaction::from(Signed::new_unhashed(transaction, mirrored))
    };
    let mirrored = high_s(TxLegacy::default());
    assert!(mirrored.recover_signer().is_err());
    let recover = |number, transaction: &Transaction| recover_sender(&chain.rules, number, transaction);
    assert_eq!(recover(9, &mirrored), Ok(chain.signer.address()));
    assert_eq!(recover(10, &mirrored), Err(E::Signature));

    let protected = sign(&chain.signer, TxLegacy { chain_id: Some(CHAIN_ID), ..TxLegacy::default() });
    assert_eq!(recover(19, &protected), Err(E::ReplayProtection));
    assert_eq!(recover(20, &protected), Ok(chain.signer.address()));
    let unprotected = sign(&chain.signer, TxLegacy::default());
    assert_eq!(recover(20, &unprotected), Ok(chain.signer.address()));
}
