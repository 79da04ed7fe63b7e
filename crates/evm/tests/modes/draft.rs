//! A transaction of an action on a state.

use crate::action::{Action, Delegation, Flaw, Form, Purpose, Value};
use crate::call::Call;
use crate::chain::{CHAIN_ID, Chain};
use crate::contracts;
use crate::state::MemoryState;
use crate::world::{actor, signer};
use alloy_consensus::{
    SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4844::DATA_GAS_PER_BLOB,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_signer::SignerSync;
use heddle_primitives::{Header, RecoveredTransaction, Transaction};

/// Of a blob transaction; wei a gas. The blocks' own fee is 1.
const BLOB_FEE_MAX: u128 = 10;
/// How much [`Value::Much`] is, in wei: the fees of hundreds of transactions.
const MUCH: u64 = 10_u64.pow(12);

/// Where a transaction is drafted: after those that stand before it in its block.
pub struct Scene<'a> {
    pub chain: &'a Chain,
    pub header: &'a Header,
    pub state: MemoryState,
}

/// What a transaction has in every form.
struct Fields {
    chain_id: u64,
    nonce: u64,
    gas_limit: u64,
    max_fee: u128,
    tip: u128,
    value: U256,
}

impl Scene<'_> {
    /// The transaction of `action`, with a signature that nobody looks at: its sender is known.
    pub fn draft(&self, action: &Action, gas_limit: u64) -> RecoveredTransaction {
        let sender = match action.flaw {
            Some(Flaw::SenderCode) => contracts::address(0),
            _ => actor(action.sender),
        };
        let fields = self.fields(action, sender, gas_limit);
        let is_forced = matches!(action.flaw, Some(Flaw::Type));
        let (rules, header) = (&self.chain.rules, self.header);
        let transaction = match &action.purpose {
            Purpose::Create(init) => self.in_form(action, fields, TxKind::Create, init.code()),
            Purpose::Delegate(delegations, call)
                if is_forced || rules.is_prague_active_at_timestamp(header.timestamp) =>
            {
                self.set_code(fields, sender, delegations, call)
            }
            Purpose::Blob(call)
                if is_forced || (rules.is_cancun_active_at_timestamp(header.timestamp) && !rules.is_heddle()) =>
            {
                self.blob(fields, call)
            }
            Purpose::Call(call) | Purpose::Delegate(_, call) | Purpose::Blob(call) => {
                self.in_form(action, fields, TxKind::Call(self.to(call)), self.data(call))
            }
        };
        Recovered::new_unchecked(transaction, sender)
    }

    fn fields(&self, action: &Action, sender: Address, gas_limit: u64) -> Fields {
        let account = self.state.account_or_empty(sender);
        let base_fee = u128::from(self.header.base_fee_per_gas.unwrap_or_default());
        let tip = u128::from(action.tip);
        let fields = Fields {
            chain_id: CHAIN_ID,
            nonce: account.nonce,
            gas_limit,
            max_fee: base_fee + tip,
            tip,
            value: U256::ZERO,
        };
        let blob_fee = match action.purpose {
            Purpose::Blob(_) => u128::from(DATA_GAS_PER_BLOB) * BLOB_FEE_MAX,
            _ => 0,
        };
        let cost = U256::from(u128::from(gas_limit) * fields.max_fee + blob_fee);
        let value = match action.value {
            Value::Wei(value) => U256::from(value),
            Value::Much => U256::from(MUCH),
            Value::Most => account.balance.saturating_sub(cost),
        };
        let fields = Fields { value, ..fields };
        match action.flaw {
            Some(Flaw::NonceGap) => Fields { nonce: account.nonce + 1, ..fields },
            Some(Flaw::NonceUsed) => Fields { nonce: account.nonce.saturating_sub(1), ..fields },
            // One wei less than it may cost, which is more than it will.
            Some(Flaw::Funds) => Fields { value: account.balance.saturating_sub(cost) + U256::ONE, ..fields },
            Some(Flaw::BlockGas) => Fields { gas_limit: self.header.gas_limit + 1, ..fields },
            Some(Flaw::IntrinsicGas) => Fields { gas_limit: 20_000, ..fields },
            Some(Flaw::BaseFee) => Fields { max_fee: base_fee.saturating_sub(1), tip: 0, ..fields },
            Some(Flaw::ChainId) => Fields { chain_id: CHAIN_ID + 1, ..fields },
            Some(Flaw::Type | Flaw::SenderCode) | None => fields,
        }
    }

    fn in_form(&self, action: &Action, fields: Fields, to: TxKind, input: Bytes) -> Transaction {
        let Fields { chain_id, nonce, gas_limit, max_fee, tip, value } = fields;
        let is_forced = matches!(action.flaw, Some(Flaw::Type));
        let (rules, number) = (&self.chain.rules, self.header.number);
        match &action.form {
            Form::AccessList(list) if is_forced || rules.is_berlin_active_at_block(number) => {
                let access_list = AccessList(list.iter().map(|(place, slot)| self.listed(*place, *slot)).collect());
                sign(TxEip2930 { chain_id, nonce, gas_price: max_fee, gas_limit, to, value, access_list, input })
            }
            Form::DynamicFee if is_forced || rules.is_london_active_at_block(number) => sign(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
                to,
                value,
                input,
                ..TxEip1559::default()
            }),
            _ => {
                let chain_id = rules.is_spurious_dragon_active_at_block(number).then_some(chain_id);
                sign(TxLegacy { chain_id, nonce, gas_price: max_fee, gas_limit, to, value, input })
            }
        }
    }

    fn set_code(&self, fields: Fields, sender: Address, delegations: &[Delegation], call: &Call) -> Transaction {
        sign(TxEip7702 {
            chain_id: fields.chain_id,
            nonce: fields.nonce,
            gas_limit: fields.gas_limit,
            max_fee_per_gas: fields.max_fee,
            max_priority_fee_per_gas: fields.tip,
            to: self.to(call),
            value: fields.value,
            authorization_list: delegations.iter().map(|delegation| self.authorize(delegation, sender)).collect(),
            input: self.data(call),
            ..TxEip7702::default()
        })
    }

    fn authorize(&self, delegation: &Delegation, sender: Address) -> SignedAuthorization {
        let signer = signer(delegation.authority);
        let authority = signer.address();
        // The sender's nonce is counted up before authorizations are looked at.
        let nonce = self.state.account_or_empty(authority).nonce + u64::from(authority == sender);
        let authorization = Authorization {
            chain_id: U256::from(delegation.chain_id),
            address: delegation.to.map_or(Address::ZERO, |place| place.address(&self.state, self.header.beneficiary)),
            nonce: nonce + delegation.nonce_ahead,
        };
        let signature = signer.sign_hash_sync(&authorization.signature_hash()).unwrap();
        authorization.into_signed(signature)
    }

    fn blob(&self, fields: Fields, call: &Call) -> Transaction {
        let mut blob = B256::repeat_byte(0xb0);
        blob.0[0] = 1;
        sign(TxEip4844 {
            chain_id: fields.chain_id,
            nonce: fields.nonce,
            gas_limit: fields.gas_limit,
            max_fee_per_gas: fields.max_fee,
            max_priority_fee_per_gas: fields.tip,
            to: self.to(call),
            value: fields.value,
            blob_versioned_hashes: vec![blob],
            max_fee_per_blob_gas: BLOB_FEE_MAX,
            input: self.data(call),
            ..TxEip4844::default()
        })
    }

    fn listed(&self, place: crate::world::Place, slot: u8) -> AccessListItem {
        let address = place.address(&self.state, self.header.beneficiary);
        AccessListItem { address, storage_keys: vec![B256::with_last_byte(slot)] }
    }

    fn to(&self, call: &Call) -> Address {
        call.to.address(&self.state, self.header.beneficiary)
    }

    fn data(&self, call: &Call) -> Bytes {
        call.data(&self.state, self.header.beneficiary)
    }
}

fn sign<T>(transaction: T) -> Transaction
where
    T: SignableTransaction<Signature>,
    Transaction: From<Signed<T>>,
{
    transaction.into_signed(Signature::test_signature()).into()
}
