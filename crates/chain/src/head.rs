//! The last committed block.

use crate::block_store::{BlockStore, missing};
use crate::validators::HeadValidators;
use crate::{ChainError, ChainRules, next_base_fee};
use alloy_primitives::{B256, U256};
use heddle_primitives::{CommitCertificate, Genesis, Height, SealedHeader};
use heddle_state::{StateStore, StateView};
use std::fmt::Debug;

/// The last committed block, with its state: everything that the next block follows from. Whoever holds one keeps the
/// database open.
pub struct Head {
    /// Its header with its hash.
    pub header: SealedHeader,
    /// Why it is final, as this node learnt it; `None` for genesis and on a plain Ethereum chain.
    pub certificate: Option<CommitCertificate>,
    /// Sum of the difficulties of all blocks up to it, which decides when a chain merges; zero on a Heddle chain.
    pub total_difficulty: U256,
    /// Base fee of the block after it, in wei.
    pub next_base_fee: u64,
    /// `None` on a plain Ethereum chain.
    pub(crate) validators: Option<HeadValidators>,
    state: StateView,
}

impl Head {
    pub(crate) fn new(
        rules: &ChainRules,
        header: SealedHeader,
        certificate: Option<CommitCertificate>,
        total_difficulty: U256,
        validators: Option<HeadValidators>,
        state: StateView,
    ) -> Self {
        let next_base_fee = next_base_fee(rules, &header).unwrap_or_default();
        Self { header, certificate, total_difficulty, next_base_fee, validators, state }
    }

    /// Reads the head and checks that its rows belong together.
    pub(crate) fn load(
        genesis: &Genesis,
        rules: &ChainRules,
        blocks: &BlockStore,
        states: &StateStore,
    ) -> Result<Self, ChainError> {
        let id = blocks.head()?.ok_or_else(|| ChainError::Corrupt("there is a genesis but no head".to_owned()))?;
        let header = blocks.header(id.number)?.ok_or_else(|| missing("header", id.number))?;
        let certificate = blocks.certificate(id.number)?;
        let certified = certificate.as_ref().map(|certificate| certificate.block_hash);
        let certified_expected = (rules.is_heddle() && id.hash != genesis.hash()).then_some(id.hash);
        let state = states.view()?;
        agree("hash of the head's header", header.seal(), id.hash)?;
        agree("block that the head's certificate is for", certified, certified_expected)?;
        agree("block that the state is of", state.number(), Some(id.number))?;
        agree("root of the state", states.state_root()?, header.state_root)?;
        let validators = HeadValidators::load(genesis, blocks, id.number)?;
        Ok(Self::new(rules, header, certificate, blocks.total_difficulty()?, validators, state))
    }

    /// Its height.
    pub fn height(&self) -> Height {
        Height::new(self.header.number)
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.header.seal()
    }

    /// The state after it.
    pub fn state(&self) -> StateView {
        self.state.clone()
    }
}

/// Rows that were written in one batch must agree.
fn agree<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), ChainError> {
    if found == expected {
        return Ok(());
    }
    Err(ChainError::Corrupt(format!("the {what} is {found:?}, expected {expected:?}")))
}
