//! Ommers: blocks of the time of proof of work that lost the race and are paid nevertheless.

use crate::{ChainRules, ExecutionError, RuleError, StateError, validate_header};
use alloy_primitives::{
    B256,
    map::{B256Map, B256Set},
};
use heddle_primitives::{Block, Header, SealedHeader};

/// Most ommers of one block.
const OMMERS_MAX: usize = 2;
/// How many of its ancestors a block's ommers may be siblings or cousins of.
const GENERATIONS: u64 = 7;

/// The ancestors of the block whose ommers are checked: its parent's chain.
pub trait Ancestors {
    /// The header of the ancestor with this number; `None` before genesis.
    ///
    /// # Errors
    /// When the store fails.
    fn header(&self, number: u64) -> Result<Option<SealedHeader>, StateError>;

    /// The ommers of the ancestor with this number; asked only for ancestors whose header says that they have some.
    ///
    /// # Errors
    /// When the store fails.
    fn ommers(&self, number: u64) -> Result<Vec<Header>, StateError>;
}

/// The rule that an ommer breaks. Always the fault of the block's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OmmerError {
    /// An ommer of this block or of one of its ancestors already.
    #[error("is included already")]
    Duplicate,
    /// No ommer at all.
    #[error("is an ancestor of the block")]
    Ancestor,
    /// Not a child of the second to seventh ancestor.
    #[error("has a parent that is no ancestor of the second to seventh generation")]
    Dangling,
    /// Its header would not be valid after its own parent.
    #[error("is invalid: {0}")]
    Header(Box<RuleError>),
}

/// Checks a block's ommers; the header's hash of them is [`crate::validate_body`]'s. Their proof of work is not checked.
///
/// # Errors
/// [`ExecutionError::Rule`] with the first rule broken, or [`ExecutionError::State`].
pub fn validate_ommers(rules: &ChainRules, ancestors: &dyn Ancestors, block: &Block) -> Result<(), ExecutionError> {
    let ommers = &block.body.ommers;
    if ommers.is_empty() {
        return Ok(());
    }
    if ommers.len() > OMMERS_MAX {
        return Err(RuleError::OmmerCount { count: ommers.len(), max: OMMERS_MAX }.into());
    }
    let mut family = Family::of(ancestors, &block.header)?;
    for (index, ommer) in ommers.iter().enumerate() {
        family.adopt(rules, ommer).map_err(|error| RuleError::Ommer { index, error })?;
    }
    Ok(())
}

/// The nearest ancestors of a block, and the ommers in it and them.
struct Family {
    parent_hash: B256,
    ancestors: B256Map<SealedHeader>,
    included: B256Set,
}

impl Family {
    fn of(reader: &dyn Ancestors, header: &Header) -> Result<Self, StateError> {
        let mut family =
            Self { parent_hash: header.parent_hash, ancestors: B256Map::default(), included: B256Set::default() };
        for number in (header.number.saturating_sub(GENERATIONS)..header.number).rev() {
            let Some(ancestor) = reader.header(number)? else { break };
            if ancestor.ommers_hash != alloy_consensus::EMPTY_OMMER_ROOT_HASH {
                family.included.extend(reader.ommers(number)?.iter().map(Header::hash_slow));
            }
            family.ancestors.insert(ancestor.seal(), ancestor);
        }
        Ok(family)
    }

    fn adopt(&mut self, rules: &ChainRules, ommer: &Header) -> Result<(), OmmerError> {
        let hash = ommer.hash_slow();
        if !self.included.insert(hash) {
            return Err(OmmerError::Duplicate);
        }
        if self.ancestors.contains_key(&hash) {
            return Err(OmmerError::Ancestor);
        }
        match self.ancestors.get(&ommer.parent_hash) {
            Some(parent) if ommer.parent_hash != self.parent_hash => {
                validate_header(rules, parent, ommer).map_err(|error| OmmerError::Header(Box::new(error)))
            }
            _ => Err(OmmerError::Dangling),
        }
    }
}
