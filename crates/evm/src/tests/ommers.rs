//! Who may be an ommer.

use super::chain::TestChain;
use crate::{Ancestors, ExecutionError, OmmerError, RuleError, StateError, validate_ommers};
use alloy_consensus::{BlockBody, Sealable, proofs::calculate_ommers_root};
use alloy_primitives::{B256, U256};
use heddle_primitives::{Block, Header, SealedHeader};

/// Headers by number, with the ommers of each.
struct Headers(Vec<(SealedHeader, Vec<Header>)>);

impl Ancestors for Headers {
    fn header(&self, number: u64) -> Result<Option<SealedHeader>, StateError> {
        Ok(self.0.get(usize::try_from(number).unwrap()).map(|(header, _)| header.clone()))
    }

    fn ommers(&self, number: u64) -> Result<Vec<Header>, StateError> {
        Ok(self.0[usize::try_from(number).unwrap()].1.clone())
    }
}

fn child(parent: &SealedHeader) -> Header {
    Header {
        parent_hash: parent.seal(),
        number: parent.number + 1,
        timestamp: parent.timestamp + 10,
        gas_limit: parent.gas_limit,
        difficulty: U256::from(0x20000),
        ..Header::default()
    }
}

/// A loser after `parent`.
fn sibling(parent: &SealedHeader) -> Header {
    Header { mix_hash: B256::repeat_byte(0xee), ..child(parent) }
}

/// Blocks 0 to 10, of which block 9 includes a sibling of block 8.
fn headers(chain: &TestChain) -> Headers {
    let mut headers = Headers(vec![(chain.genesis.header().clone(), Vec::new())]);
    for number in 1..=10_usize {
        let parent = headers.0[number - 1].0.clone();
        let ommers = if number == 9 { vec![sibling(&headers.0[7].0)] } else { Vec::new() };
        let header = Header { ommers_hash: calculate_ommers_root(&ommers), ..child(&parent) };
        headers.0.push((header.seal_slow(), ommers));
    }
    headers
}

fn validate(chain: &TestChain, headers: &Headers, ommers: Vec<Header>) -> Result<(), RuleError> {
    let header = child(&headers.0[10].0);
    let body = BlockBody { ommers, ..BlockBody::default() };
    match validate_ommers(&chain.rules, headers, &Block { header, body }) {
        Ok(()) => Ok(()),
        Err(ExecutionError::Rule(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn ommers_are_recent_losers_not_yet_included() {
    let chain = TestChain::with_config(r#""homesteadBlock":0"#, &[]);
    let headers = headers(&chain);
    let after = |number: usize| sibling(&headers.0[number].0);
    let refused = |ommers: Vec<Header>| match validate(&chain, &headers, ommers) {
        Err(RuleError::Ommer { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    // Block 11: its ommers are children of blocks 4 to 9.
    for parent in [4, 5, 6, 8, 9] {
        validate(&chain, &headers, vec![after(parent)]).unwrap();
    }
    validate(&chain, &headers, vec![after(9), after(8)]).unwrap();
    assert_eq!(refused(vec![after(10)]), OmmerError::Dangling, "a sibling of the block itself");
    assert_eq!(refused(vec![after(3)]), OmmerError::Dangling, "too old");
    assert_eq!(refused(vec![after(7)]), OmmerError::Duplicate, "included by block 9");
    assert_eq!(refused(vec![after(9), after(9)]), OmmerError::Duplicate);
    assert_eq!(refused(vec![headers.0[9].0.inner().clone()]), OmmerError::Ancestor);
    let error = validate(&chain, &headers, vec![after(9), after(8), after(6)]).unwrap_err();
    assert_eq!(error, RuleError::OmmerCount { count: 3, max: 2 });
}

#[test]
fn ommer_is_valid_after_its_own_parent() {
    let chain = TestChain::with_config(r#""homesteadBlock":0"#, &[]);
    let headers = headers(&chain);
    let parent = &headers.0[9].0;
    for broken in [
        Header { timestamp: parent.timestamp, ..sibling(parent) },
        Header { gas_limit: parent.gas_limit * 2, ..sibling(parent) },
        Header { gas_used: parent.gas_limit + 1, ..sibling(parent) },
        Header { number: parent.number, ..sibling(parent) },
        Header { extra_data: vec![0; 33].into(), ..sibling(parent) },
    ] {
        let error = validate(&chain, &headers, vec![broken]).unwrap_err();
        assert!(matches!(&error, RuleError::Ommer { index: 0, error: OmmerError::Header(_) }), "{error}");
    }
}
