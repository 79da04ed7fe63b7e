//! Every test that is not judged, with its reason.
//!
//! Nothing here concerns a rule of Paris or a later fork.

use crate::network::Network;
use alloy_rlp::{EMPTY_STRING_CODE, Header, PayloadView};

/// Tests that are not judged, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The rule that is not checked, and why.
    pub reason: &'static str,
    /// What it applies to, in words.
    pub applies_to: &'static str,
}

/// Proof of work.
pub(crate) const PROOF_OF_WORK: Skip = Skip {
    reason: "the difficulty and seal of blocks before the merge are taken as given: there is no proof-of-work check",
    applies_to: "blocks of pre-merge networks that are invalid only by difficulty, mixHash or nonce: blocks whose \
                 expected exception names the difficulty, and the tests DifficultyIsZero, wrongDifficulty, \
                 wrongMixHash, wrongNonce, nonceWrong, diffTooHigh, diffTooLow, diffTooLow2",
};

/// The formula by itself.
pub(crate) const DIFFICULTY_FORMULA: Skip = Skip {
    reason: "the difficulty of blocks before the merge is taken as given: there is no difficulty formula to test",
    applies_to: "tests with parentDifficulty and currentDifficulty (DifficultyTests)",
};

/// Fees that no account can pay.
pub(crate) const FEE_OF_128_BITS: Skip = Skip {
    reason: "fees are numbers below 2^128 wei a gas: a transaction that offers more does not decode, and no account \
             could pay for it, so that it is invalid in any block either way",
    applies_to: "transaction tests that call a transaction valid whose gas price or fee cap is 2^128 wei or more",
};

/// Values in branch nodes.
pub(crate) const TRIE_VALUE_IN_BRANCH: Skip = Skip {
    reason: "every trie of Ethereum has keys of which none is another's beginning: branch nodes have no values",
    applies_to: "non-secure trie tests in which a key is the beginning of another key",
};

/// Searching tries by order.
pub(crate) const TRIE_NEIGHBOURS: Skip = Skip {
    reason: "no rule needs the keys before and after a text in a trie, so there is no such search",
    applies_to: "trietestnextprev (tests with in and tests)",
};

/// The whole table.
pub const SKIPS: [Skip; 5] =
    [PROOF_OF_WORK, DIFFICULTY_FORMULA, FEE_OF_128_BITS, TRIE_VALUE_IN_BRANCH, TRIE_NEIGHBOURS];

const PROOF_OF_WORK_TESTS: [&str; 8] = [
    "DifficultyIsZero",
    "wrongDifficulty",
    "wrongMixHash",
    "wrongNonce",
    "nonceWrong",
    "diffTooHigh",
    "diffTooLow",
    "diffTooLow2",
];

/// Whether an invalid block that we accepted is invalid only by its proof of work.
pub(crate) fn is_proof_of_work(network: &Network, test: &str, expected: &str) -> bool {
    let name = test.rsplit("::").next().unwrap_or(test);
    // Before 2024 a test had its network's name after its own: wrongDifficulty_Frontier.
    let name = name.rsplit('/').next().unwrap_or(name).split('_').next().unwrap_or(name);
    network.is_before_merge()
        && (expected.contains("ifficulty") || expected.contains("DIFFICULTY") || {
            PROOF_OF_WORK_TESTS.contains(&name)
        })
}

/// Whether an encoded transaction offers a fee of 2^128 wei a gas or more.
pub(crate) fn has_fee_of_128_bits(transaction: &[u8]) -> bool {
    let (mut fields, fees) = match transaction.first() {
        Some(kind) if *kind < EMPTY_STRING_CODE => (&transaction[1..], 2..4),
        _ => (transaction, 1..2),
    };
    match Header::decode_raw(&mut fields) {
        // A field of more than 16 bytes has a header of one byte.
        Ok(PayloadView::List(fields)) => fields.get(fees).is_some_and(|fees| fees.iter().any(|fee| fee.len() > 17)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn proof_of_work_is_skipped_before_the_merge_only() {
        let berlin = Network::parse("Berlin").unwrap();
        assert!(is_proof_of_work(&berlin, "wrongDifficulty_Berlin", ""));
        assert!(is_proof_of_work(&berlin, "anything", "BlockException.INVALID_DIFFICULTY"));
        assert!(!is_proof_of_work(&berlin, "wrongStateRoot", "BlockException.INVALID_STATE_ROOT"));
        let cancun = Network::parse("Cancun").unwrap();
        assert!(!is_proof_of_work(&cancun, "wrongDifficulty", "BlockException.INVALID_DIFFICULTY"));
    }

    #[test]
    fn fees_are_measured_where_they_stand() {
        let fee = [&[0x91][..], &[0xff; 17]].concat();
        let legacy = [&[0xd4, 0x80][..], &fee, &[0x01]].concat();
        assert!(has_fee_of_128_bits(&legacy));
        let dynamic = [&[0x02, 0xd5, 0x01, 0x80, 0x01][..], &fee].concat();
        assert!(has_fee_of_128_bits(&dynamic));
        let fee = [&[0x90][..], &[0xff; 16]].concat();
        let legacy = [&[0xd3, 0x80][..], &fee, &[0x01]].concat();
        assert!(!has_fee_of_128_bits(&legacy));
        assert!(!has_fee_of_128_bits(&[]));
        assert!(!has_fee_of_128_bits(&[0x02, 0xff]));
    }
}
