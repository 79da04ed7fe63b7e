//! The layout of deposit logs (EIP-6110).

use crate::RuleError;
use alloy_evm::eth::eip6110::DepositEvent;
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolEvent;
use heddle_primitives::Receipt;

/// Bytes of public key, withdrawal credentials, amount, signature and index.
const FIELDS: [usize; 5] = [48, 32, 8, 96, 8];
const WORD: usize = 32;

/// Checks that every deposit event of `contract` has the one layout that EIP-6110 reads. Reading it as Solidity does
/// would accept others.
pub(crate) fn check_layout(contract: Address, receipts: &[Receipt]) -> Result<(), RuleError> {
    let logs = receipts.iter().flat_map(|receipt| receipt.logs());
    let mut deposits =
        logs.filter(|log| log.address == contract && log.topics().first() == Some(&DepositEvent::SIGNATURE_HASH));
    if deposits.all(|log| has_layout(&log.data.data)) { Ok(()) } else { Err(RuleError::DepositLayout) }
}

/// Five offsets, then each field in order: its length and its bytes, padded to whole words.
fn has_layout(data: &[u8]) -> bool {
    let mut offset = FIELDS.len() * WORD;
    for (index, length) in FIELDS.into_iter().enumerate() {
        if word(data, index * WORD) != Some(U256::from(offset)) || word(data, offset) != Some(U256::from(length)) {
            return false;
        }
        offset += WORD + length.next_multiple_of(WORD);
    }
    data.len() == offset
}

fn word(data: &[u8], offset: usize) -> Option<U256> {
    data.get(offset..offset + WORD).map(U256::from_be_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deposit() -> Vec<u8> {
        let event = DepositEvent {
            pubkey: vec![1; 48].into(),
            withdrawal_credentials: vec![2; 32].into(),
            amount: vec![3; 8].into(),
            signature: vec![4; 96].into(),
            index: vec![5; 8].into(),
        };
        event.encode_data()
    }

    #[test]
    fn only_the_deposit_contracts_own_layout_is_accepted() {
        let data = deposit();
        assert!(has_layout(&data));
        assert!(!has_layout(&data[..data.len() - 1]), "cut");
        assert!(!has_layout(&[&data[..], &[0; 32]].concat()), "longer");
        for position in [31, 63, 95, 127, 159, 191, 287] {
            let mut other = data.clone();
            other[position] ^= 1;
            assert!(!has_layout(&other), "offset or length at {position}");
        }
    }
}
