//! A chain whose blocks do what most blocks do: the same bytes at every run.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, b256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_evm::system_contracts;
use heddle_primitives::{Genesis, Transaction};
use rayon::prelude::*;
use std::error::Error;
use std::ops::Range;

/// Transactions a block; of every twenty, ten are transfers, nine ERC-20 transfers, one creates a contract.
pub const TRANSACTIONS_PER_BLOCK: u64 = 120;
/// Accounts that send, in turn.
const SENDERS: u64 = 1_000;
const CHAIN_ID: u64 = 1_337;
const GAS_LIMIT: u64 = 30_000_000;
/// Where the token is.
pub const TOKEN: Address = address!("0x000000000000000000000000000000000000c0de");

/// A minimal ERC-20 token: `transfer` and `balanceOf`, balances in the mapping at slot 0, the Transfer event. Assembly:
///
/// ```text
/// 5f 35 60e0 1c                                      selector
/// 80 63a9059cbb 14 6030 57                           transfer(address,uint256)?
/// 63 70a08231 14 601b 57  5f 5f fd                   balanceOf(address)? otherwise revert
/// 5b 6004 35 5f 52 5f 6020 52 6040 5f 20 54 5f 52    balances[argument 0]
/// 6020 5f f3                                         return it
/// 5b 33 5f 52 5f 6020 52 6040 5f 20                  slot of balances[caller]
/// 80 54 6024 35 81 81 11 608e 57                     amount more than the balance? revert
/// 80 91 03 82 55                                     store the difference
/// 6004 35 5f 52 6040 5f 20 80 54 82 01 90 55         balances[argument 0] += amount
/// 5f 52 6004 35 33 7f ddf2..b3ef 6020 5f a3          log Transfer(caller, argument 0, amount)
/// 6001 5f 52 6020 5f f3  5b 5f 5f fd                 return true; the revert
/// ```
const TOKEN_CODE: [u8; 146] = hex!(
    "5f3560e01c8063a9059cbb146030576370a0823114601b575f5ffd5b6004355f525f60205260405f20545f5260205ff3"
    "5b335f525f60205260405f208054602435818111608e5780910382556004355f5260405f208054820190555f52600435"
    "337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60205fa360015f5260205ff35b5f"
    "5ffd"
);
/// The first topic of ERC-20's transfers.
pub const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// Returns the 146 bytes behind it as the code of the new contract.
const DEPLOY_CODE: [u8; 9] = hex!("60928060095f395ff3");

/// The senders' keys, and how many transactions were made so far.
pub struct Workload {
    senders: Vec<PrivateKeySigner>,
    made: u64,
}

impl Workload {
    /// The keys of the senders.
    ///
    /// # Errors
    /// Never, but for a broken hash function.
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let key = |n: u64| PrivateKeySigner::from_bytes(&keccak256(n.to_be_bytes()));
        Ok(Self { senders: (0..SENDERS).map(key).collect::<Result<_, _>>()?, made: 0 })
    }

    /// A plain chain with every fork to Osaka at genesis, on which the senders have ether and tokens.
    ///
    /// # Errors
    /// Never, but for a broken genesis parser.
    pub fn genesis(&self) -> Result<Genesis, Box<dyn Error>> {
        self.genesis_with(GAS_LIMIT, [])
    }

    /// The same with another gas limit, and more accounts.
    ///
    /// # Errors
    /// As [`Self::genesis`].
    pub fn genesis_with(
        &self,
        gas_limit: u64,
        accounts: impl IntoIterator<Item = (Address, GenesisAccount)>,
    ) -> Result<Genesis, Box<dyn Error>> {
        let mut alloc = system_contracts();
        alloc.extend(accounts);
        let ether = U256::from(10u64).pow(U256::from(24u64));
        let fund = |sender: &PrivateKeySigner| (sender.address(), GenesisAccount::default().with_balance(ether));
        alloc.extend(self.senders.iter().map(fund));
        let balances = self.senders.iter().map(|sender| (balance_slot(sender.address()), B256::from(ether)));
        let token = GenesisAccount::default().with_nonce(Some(1)).with_code(Some(Bytes::from_static(&TOKEN_CODE)));
        alloc.push((TOKEN, token.with_storage(Some(balances.collect()))));
        let file = alloy_genesis::Genesis {
            gas_limit,
            timestamp: 1_700_000_000,
            alloc: alloc.into_iter().collect(),
            ..Default::default()
        };
        let mut json = serde_json::to_value(file)?;
        json["config"] = serde_json::json!({
            "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
        });
        Ok(Genesis::from_json(&json.to_string())?)
    }

    /// The transactions of the next block, signed on all threads.
    ///
    /// # Errors
    /// Never, but for a broken signer.
    pub fn next_block(&mut self) -> Result<Vec<Transaction>, Box<dyn Error>> {
        let numbers = self.made..self.made + TRANSACTIONS_PER_BLOCK;
        self.made = numbers.end;
        self.signed(numbers, action)
    }

    /// The transactions with these numbers, of the senders in turn, each the next of its sender.
    ///
    /// # Errors
    /// Never, but for a broken signer.
    pub fn signed(
        &self,
        numbers: Range<u64>,
        action: impl Fn(u64) -> TxEip1559 + Sync,
    ) -> Result<Vec<Transaction>, Box<dyn Error>> {
        let transactions = numbers.into_par_iter().map(|number| self.transaction(number, action(number)));
        Ok(transactions.collect::<Result<_, alloy_signer::Error>>()?)
    }

    /// The address of a sender, in turn.
    pub fn sender(&self, number: u64) -> Address {
        self.senders.get((number % SENDERS) as usize).map(PrivateKeySigner::address).unwrap_or_default()
    }

    fn transaction(&self, number: u64, action: TxEip1559) -> Result<Transaction, alloy_signer::Error> {
        let (turn, sender) = (number / SENDERS, (number % SENDERS) as usize);
        let unsigned = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: turn,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            ..action
        };
        let sender = self.senders.get(sender).ok_or_else(|| alloy_signer::Error::other("no such sender"))?;
        Ok(unsigned.clone().into_signed(sender.sign_hash_sync(&unsigned.signature_hash())?).into())
    }
}

/// What a transaction does.
fn action(number: u64) -> TxEip1559 {
    let recipient = recipient(number);
    match number % 20 {
        0 => {
            let code = [&DEPLOY_CODE[..], &TOKEN_CODE].concat();
            TxEip1559 { gas_limit: 200_000, to: TxKind::Create, input: code.into(), ..Default::default() }
        }
        odd if odd % 2 == 1 && odd != 1 => token_transfer(recipient),
        _ => TxEip1559 { gas_limit: 21_000, to: TxKind::Call(recipient), value: U256::from(1), ..Default::default() },
    }
}

/// A transfer of the least amount of tokens.
pub fn token_transfer(recipient: Address) -> TxEip1559 {
    let mut input = hex!("a9059cbb").to_vec();
    input.extend(recipient.into_word());
    input.extend(U256::from(1).to_be_bytes::<32>());
    TxEip1559 { gas_limit: 100_000, to: TxKind::Call(TOKEN), input: input.into(), ..Default::default() }
}

/// Of four recipients one is new; the others had something before.
fn recipient(number: u64) -> Address {
    let seed = match number % 4 {
        0 => number,
        // An odd multiplier walks over all earlier numbers without a pattern that caches would like.
        _ => number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (number + 1) / 4 * 4,
    };
    Address::from_word(keccak256([b"recipient".as_slice(), &seed.to_be_bytes()].concat()))
}

/// Where the token keeps a balance.
fn balance_slot(owner: Address) -> B256 {
    keccak256([owner.into_word().0, [0; 32]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_chain::{BlockTemplate, Chain, ChainConfig, RecoveredBlock};
    use heddle_storage::{Database, DatabaseConfig};

    #[test]
    fn every_transaction_of_a_block_succeeds_and_tokens_move() {
        let mut workload = Workload::new().unwrap();
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let chain = Chain::open(workload.genesis().unwrap(), database, ChainConfig::default()).unwrap();
        let timestamp = chain.head().header.timestamp + 12;
        let transactions = workload.next_block().unwrap();
        let template = BlockTemplate { timestamp, transactions, ..BlockTemplate::default() };
        let block = RecoveredBlock::recover(chain.rules(), chain.assemble(template).unwrap()).unwrap();
        chain.import(&block).unwrap();
        let receipts = chain.receipts(1).unwrap().unwrap();
        assert!(receipts.iter().all(|receipt| receipt.status()));
        assert_eq!(receipts.iter().filter(|receipt| receipt.logs().len() == 1).count(), 54);
        let sender = workload.senders[3].address();
        let sent = chain.state().storage(TOKEN, balance_slot(sender).into()).unwrap();
        assert_eq!(sent, U256::from(10u64).pow(U256::from(24u64)) - U256::from(1));
        let received = chain.state().storage(TOKEN, balance_slot(recipient(3)).into()).unwrap();
        assert!(received >= U256::from(1));
    }
}
