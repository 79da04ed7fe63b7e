//! Fixtures in the formats of execution-spec-tests, made of one transfer on Prague.
//!
//! What they expect follows from the rules by hand: the balances are sums, the system contracts of EIP-4788 and EIP-2935
//! store what those say, headers are hashed here, and roots are alloy's. Nothing of the node makes them.

use alloy_consensus::{
    Header, ReceiptEnvelope, SignableTransaction, TxEip4844, TxEnvelope,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_eips::{
    eip2718::Encodable2718, eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, address, b256, hex};
use alloy_rlp::Encodable;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_trie::root::state_root_unhashed;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub type Alloc = BTreeMap<Address, GenesisAccount>;

const KEY: B256 = b256!("0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8");
pub const SENDER: Address = address!("0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b");
pub const CALLEE: Address = address!("0x00000000000000000000000000000000000000cc");
const COINBASE: Address = address!("0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba");
pub const BLOB_HASH: B256 = b256!("0x0100000000000000000000000000000000000000000000000000000000000001");
pub const BEACON_ROOT: B256 = b256!("0x00000000000000000000000000000000000000000000000000000000000000be");
const FUNDS: u64 = 1_000_000_000_000;
const BASE_FEE: u64 = 7;
const TIP: u64 = 2;
const TRANSFER_GAS: u64 = 21_000;
const BLOB_GAS: u64 = 131_072;
const GAS_LIMIT: u64 = 30_000_000;
const TIMESTAMP: u64 = 1_000;

pub fn number(value: u64) -> String {
    // Zero-padded to whole bytes, as the fixtures are.
    let digits = format!("{value:x}");
    format!("0x{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" })
}

/// One blob transaction that transfers one wei.
pub fn transaction(gas_limit: u64) -> TxEnvelope {
    let unsigned = TxEip4844 {
        chain_id: 1,
        nonce: 0,
        gas_limit,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: u128::from(TIP),
        to: CALLEE,
        value: U256::from(1),
        blob_versioned_hashes: vec![BLOB_HASH],
        max_fee_per_blob_gas: 10,
        ..TxEip4844::default()
    };
    let signer = PrivateKeySigner::from_bytes(&KEY).unwrap();
    let signature = signer.sign_hash_sync(&unsigned.signature_hash()).unwrap();
    TxEnvelope::Eip4844(unsigned.into_signed(signature).convert::<alloy_consensus::TxEip4844Variant>())
}

fn pre() -> Alloc {
    let mut alloc: Alloc = heddle_evm::system_contracts().into_iter().collect();
    alloc.insert(SENDER, GenesisAccount::default().with_balance(U256::from(FUNDS)));
    alloc
}

/// The accounts after the transfer, without what the block itself does.
fn after_transfer() -> Alloc {
    let mut alloc = pre();
    let paid = 1 + TRANSFER_GAS * (BASE_FEE + TIP) + BLOB_GAS;
    alloc.insert(SENDER, GenesisAccount::default().with_nonce(Some(1)).with_balance(U256::from(FUNDS - paid)));
    alloc.insert(CALLEE, GenesisAccount::default().with_balance(U256::from(1)));
    alloc.insert(COINBASE, GenesisAccount::default().with_balance(U256::from(TRANSFER_GAS * TIP)));
    alloc
}

fn after_block(parent: B256) -> Alloc {
    let mut alloc = after_transfer();
    let slot = |number: u64| B256::from(U256::from(number));
    let beacon_roots = alloc.get_mut(&BEACON_ROOTS_ADDRESS).unwrap();
    let entry = (slot(TIMESTAMP % 8191), slot(TIMESTAMP));
    beacon_roots.storage = Some(BTreeMap::from([entry, (slot(TIMESTAMP % 8191 + 8191), BEACON_ROOT)]));
    alloc.get_mut(&HISTORY_STORAGE_ADDRESS).unwrap().storage = Some(BTreeMap::from([(slot(0), parent)]));
    alloc
}

fn root(alloc: &Alloc) -> B256 {
    state_root_unhashed(alloc.iter().map(|(address, account)| (*address, account.clone())))
}

pub fn alloc_json(alloc: &Alloc) -> Value {
    let account = |account: &GenesisAccount| {
        let slots = account.storage.iter().flatten();
        json!({
            "nonce": number(account.nonce.unwrap_or_default()),
            "balance": format!("{:#x}", account.balance),
            "code": account.code.clone().unwrap_or_default(),
            "storage": Value::Object(slots.map(|(slot, value)| (slot.to_string(), json!(value))).collect()),
        })
    };
    Value::Object(alloc.iter().map(|(address, entry)| (address.to_string(), account(entry))).collect())
}

fn config() -> Value {
    let entry = |target: &str, max: &str, fraction: &str| json!({"target": target, "max": max, "baseFeeUpdateFraction": fraction});
    json!({"network": "Prague", "chainid": "0x01", "blobSchedule": {
        "Cancun": entry("0x03", "0x06", "0x32f0ed"), "Prague": entry("0x06", "0x09", "0x4c6964")}})
}

fn genesis() -> Header {
    Header {
        state_root: root(&pre()),
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(BASE_FEE),
        withdrawals_root: Some(alloy_consensus::EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

fn block_header() -> Header {
    let receipt = alloy_consensus::Receipt {
        status: true.into(),
        cumulative_gas_used: TRANSFER_GAS,
        logs: Vec::<alloy_primitives::Log>::new(),
    };
    let parent = genesis().hash_slow();
    Header {
        parent_hash: parent,
        beneficiary: COINBASE,
        state_root: root(&after_block(parent)),
        transactions_root: calculate_transaction_root(&[transaction(TRANSFER_GAS)]),
        receipts_root: calculate_receipt_root(&[ReceiptEnvelope::Eip4844(receipt.with_bloom())]),
        number: 1,
        gas_used: TRANSFER_GAS,
        timestamp: TIMESTAMP,
        blob_gas_used: Some(BLOB_GAS),
        parent_beacon_block_root: Some(BEACON_ROOT),
        ..genesis()
    }
}

fn header_json(header: &Header) -> Value {
    json!({
        "parentHash": header.parent_hash,
        "uncleHash": header.ommers_hash,
        "coinbase": header.beneficiary,
        "stateRoot": header.state_root,
        "transactionsTrie": header.transactions_root,
        "receiptTrie": header.receipts_root,
        "bloom": Bloom::ZERO,
        "difficulty": "0x00",
        "number": number(header.number),
        "gasLimit": number(header.gas_limit),
        "gasUsed": number(header.gas_used),
        "timestamp": number(header.timestamp),
        "extraData": "0x",
        "mixHash": header.mix_hash,
        "nonce": B64::ZERO,
        "baseFeePerGas": number(BASE_FEE),
        "withdrawalsRoot": header.withdrawals_root,
        "blobGasUsed": number(header.blob_gas_used.unwrap()),
        "excessBlobGas": "0x00",
        "parentBeaconBlockRoot": header.parent_beacon_block_root,
        "requestsHash": header.requests_hash,
        "hash": header.hash_slow(),
    })
}

/// A block's RLP: header, transactions, no ommers, and from Shanghai on no withdrawals.
pub fn block_rlp(header: &Header, transactions: &[TxEnvelope]) -> String {
    let lists = if header.withdrawals_root.is_some() { 2 } else { 1 };
    let mut body = alloy_rlp::encode(header);
    let transactions: Vec<Bytes> = transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect();
    transactions.encode(&mut body);
    body.extend(vec![alloy_rlp::EMPTY_LIST_CODE; lists]);
    let mut block = Vec::new();
    alloy_rlp::Header { list: true, payload_length: body.len() }.encode(&mut block);
    block.extend(body);
    hex::encode_prefixed(block)
}

/// A state test; its transaction has exactly the gas it needs.
pub fn state_test() -> Value {
    let post = after_transfer();
    json!({
        "env": {
            "currentCoinbase": COINBASE,
            "currentGasLimit": number(GAS_LIMIT),
            "currentNumber": "0x01",
            "currentTimestamp": number(TIMESTAMP),
            "currentRandom": B256::ZERO,
            "currentDifficulty": "0x00",
            "currentBaseFee": number(BASE_FEE),
            "currentExcessBlobGas": "0x00",
        },
        "pre": alloc_json(&pre()),
        "transaction": {
            "nonce": "0x00",
            "maxPriorityFeePerGas": number(TIP),
            "maxFeePerGas": "0x64",
            "gasLimit": [number(TRANSFER_GAS)],
            "to": CALLEE,
            "value": ["0x01"],
            "data": ["0x"],
            "accessLists": [[]],
            "maxFeePerBlobGas": "0x0a",
            "blobVersionedHashes": [BLOB_HASH],
            "sender": SENDER,
            "secretKey": KEY,
        },
        "post": {"Prague": [{
            "hash": root(&post),
            "logs": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "txbytes": hex::encode_prefixed(transaction(TRANSFER_GAS).encoded_2718()),
            "indexes": {"data": 0, "gas": 0, "value": 0},
            "state": alloc_json(&post),
            "receipt": {"cumulativeGasUsed": number(TRANSFER_GAS)},
        }]},
        "config": config(),
    })
}

/// A blockchain test of two blocks: the first is invalid for its state root, the second valid.
pub fn blockchain_test() -> Value {
    let header = block_header();
    let wrong = Header { state_root: genesis().state_root, ..header.clone() };
    let transactions = [transaction(TRANSFER_GAS)];
    json!({
        "network": "Prague",
        "genesisBlockHeader": header_json(&genesis()),
        "genesisRLP": block_rlp(&genesis(), &[]),
        "pre": alloc_json(&pre()),
        "postState": alloc_json(&after_block(header.parent_hash)),
        "lastblockhash": header.hash_slow(),
        "config": config(),
        "blocks": [
            {"rlp": block_rlp(&wrong, &transactions), "expectException": "BlockException.INVALID_STATE_ROOT",
             "rlp_decoded": {"blockHeader": header_json(&wrong)}},
            {"rlp": block_rlp(&header, &transactions), "blockHeader": header_json(&header), "blocknumber": "1"},
        ],
        "sealEngine": "NoProof",
    })
}

fn payload(header: &Header) -> Value {
    json!({
        "parentHash": header.parent_hash,
        "feeRecipient": header.beneficiary,
        "stateRoot": header.state_root,
        "receiptsRoot": header.receipts_root,
        "logsBloom": Bloom::ZERO,
        "blockNumber": "0x1",
        "gasLimit": number(header.gas_limit),
        "gasUsed": number(header.gas_used),
        "timestamp": number(header.timestamp),
        "extraData": "0x",
        "prevRandao": header.mix_hash,
        "baseFeePerGas": number(BASE_FEE),
        "blobGasUsed": number(BLOB_GAS),
        "excessBlobGas": "0x0",
        "blockHash": header.hash_slow(),
        "transactions": [hex::encode_prefixed(transaction(TRANSFER_GAS).encoded_2718())],
        "withdrawals": [],
    })
}

/// An engine test of one payload.
pub fn engine_test() -> Value {
    let header = block_header();
    json!({
        "network": "Prague",
        "genesisBlockHeader": header_json(&genesis()),
        "pre": alloc_json(&pre()),
        "postState": alloc_json(&after_block(header.parent_hash)),
        "lastblockhash": header.hash_slow(),
        "config": config(),
        "engineNewPayloads": [{
            "params": [payload(&header), [BLOB_HASH], BEACON_ROOT, []],
            "newPayloadVersion": "4",
            "forkchoiceUpdatedVersion": "3",
        }],
    })
}

/// Hash of the genesis block, where a chain stays that refuses everything.
pub fn genesis_hash() -> B256 {
    genesis().hash_slow()
}

/// The first state of [`engine_x_test`], as it lies in `pre_alloc`.
pub fn pre_alloc_group() -> Value {
    json!({
        "testIds": ["transfer"],
        "environment": {"currentGasLimit": number(GAS_LIMIT)},
        "network": "Prague",
        "pre": alloc_json(&pre()),
        "genesis": header_json(&genesis()),
        "testCount": 1,
        "preAccountCount": pre().len(),
    })
}

/// An engine test that shares its first state, of which it gives the changes.
pub fn engine_x_test(pre_hash: &str) -> Value {
    let mut test = engine_test();
    let changed = test["postState"].take();
    let object = test.as_object_mut().unwrap();
    for key in ["pre", "postState", "genesisBlockHeader"] {
        object.remove(key);
    }
    test["preHash"] = json!(pre_hash);
    test["postStateDiff"] = changed;
    test
}

/// A transaction test.
pub fn transaction_test() -> Value {
    let transaction = transaction(TRANSFER_GAS);
    json!({
        "txbytes": hex::encode_prefixed(transaction.encoded_2718()),
        "result": {"Prague": {"intrinsicGas": number(TRANSFER_GAS), "hash": transaction.tx_hash(), "sender": SENDER}},
    })
}
