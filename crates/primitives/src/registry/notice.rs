//! The call at the start of every block.

use alloy_primitives::{B256, Bytes, U256, keccak256};

/// What a block tells the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryNotice {
    /// Bit i: the member i of the epoch, in order of address, signed the parent's certificate. None when the parent
    /// belongs to another epoch.
    pub signers: U256,
    /// In the last block of an epoch, the public keys of those that signed nothing in it.
    pub absent: Vec<B256>,
    /// The public keys of those whom the block's evidence convicts.
    pub equivocators: Vec<B256>,
}

impl RegistryNotice {
    /// The call's data: `onBlock(uint256,bytes32[],bytes32[])` in Solidity's ABI.
    pub fn calldata(&self) -> Bytes {
        const HEAD_WORDS: usize = 3;
        let selector = keccak256("onBlock(uint256,bytes32[],bytes32[])");
        let word = |count: usize| B256::from(U256::from(count));
        let absent_at = HEAD_WORDS * 32;
        let equivocators_at = absent_at + (1 + self.absent.len()) * 32;
        let mut words = vec![self.signers.into(), word(absent_at), word(equivocators_at)];
        for keys in [&self.absent, &self.equivocators] {
            words.push(word(keys.len()));
            words.extend_from_slice(keys);
        }
        selector[..4].iter().chain(words.iter().flatten()).copied().collect()
    }
}
