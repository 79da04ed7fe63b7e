//! The state that a workload starts from, and the transactions over it, as they are being made.

use crate::MemoryState;
use crate::chain::CHAIN_ID;
use alloy_consensus::{Signed, TxEip1559, transaction::Recovered};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256, map::AddressMap};
use heddle_primitives::{Account, RecoveredTransaction};

/// Who gets the fees.
pub(crate) const FEE_RECIPIENT: Address = Address::repeat_byte(0xfe);
/// What a transaction pays at most for a unit of gas, in wei: above the base fee of every first block.
pub(crate) const MAX_FEE_PER_GAS: u128 = 10_000_000_000;
/// One ether, in wei.
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// What a transaction does.
pub(crate) struct Call {
    pub(crate) to: TxKind,
    pub(crate) value: U256,
    pub(crate) gas_limit: u64,
    pub(crate) input: Bytes,
}

impl Call {
    /// A plain transfer.
    pub(crate) fn transfer(to: Address, value: U256) -> Self {
        Self { to: TxKind::Call(to), value, gas_limit: 21_000, input: Bytes::new() }
    }

    /// A call of a contract.
    pub(crate) fn contract(to: Address, gas_limit: u64, input: Vec<u8>) -> Self {
        Self { to: TxKind::Call(to), value: U256::ZERO, gas_limit, input: input.into() }
    }
}

/// Accounts, contracts, and transactions so far.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) state: MemoryState,
    pub(crate) transactions: Vec<RecoveredTransaction>,
    nonces: AddressMap<u64>,
}

impl World {
    /// Puts an account with ether; done for every sender by [`Self::send`].
    pub(crate) fn fund(&mut self, address: Address, balance: U256) {
        self.state.set_balance(address, balance);
        self.nonces.entry(address).or_default();
    }

    /// Puts a contract.
    pub(crate) fn deploy(&mut self, address: Address, code: Bytes) {
        let code_hash = self.state.add_code(code);
        self.state.set_account(address, Account { nonce: 1, balance: U256::ZERO, code_hash });
    }

    /// Appends a transaction of `sender`, who gets 1,000 ether where it has nothing yet.
    pub(crate) fn send(&mut self, sender: Address, call: Call) {
        if !self.nonces.contains_key(&sender) {
            self.fund(sender, U256::from(1_000 * ETHER));
        }
        let nonce = self.nonces.entry(sender).or_default();
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: *nonce,
            gas_limit: call.gas_limit,
            max_fee_per_gas: MAX_FEE_PER_GAS,
            max_priority_fee_per_gas: 1_000_000_000,
            to: call.to,
            value: call.value,
            input: call.input,
            ..TxEip1559::default()
        };
        *nonce += 1;
        // Execution is told the sender and looks at no signature.
        let signed = Signed::new_unhashed(transaction, Signature::test_signature());
        self.transactions.push(Recovered::new_unchecked(signed.into(), sender));
    }
}

/// An address that looks like any other: of the `index`th of a kind.
pub(crate) fn address(kind: &str, index: u64) -> Address {
    Address::from_word(keccak256([kind.as_bytes(), &index.to_be_bytes()].concat()))
}
