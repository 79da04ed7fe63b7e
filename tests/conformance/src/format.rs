//! Telling fixture formats apart by their content.

use serde_json::Value;

/// What kind of test an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    State,
    Blockchain,
    Engine,
    Transaction,
    Trie,
    Rlp,
    /// See [`crate::skips::DIFFICULTY_FORMULA`].
    Difficulty,
    /// See [`crate::skips::TRIE_NEIGHBOURS`].
    TrieNeighbours,
}

impl Format {
    /// The format of a test; `None` for an object that is no test we know.
    pub(crate) fn of(test: &Value) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().all(|key| test.get(key).is_some());
        let formats: [(Self, &[&str]); 8] = [
            (Self::State, &["env", "pre", "transaction", "post"]),
            (Self::Engine, &["engineNewPayloads"]),
            (Self::Blockchain, &["blocks", "genesisBlockHeader"]),
            (Self::Transaction, &["txbytes", "result"]),
            (Self::Trie, &["in", "root"]),
            (Self::Rlp, &["in", "out"]),
            (Self::TrieNeighbours, &["in", "tests"]),
            (Self::Difficulty, &["parentDifficulty", "currentDifficulty"]),
        ];
        formats.into_iter().find(|(_, keys)| has(keys)).map(|(format, _)| format)
    }
}

/// Whether a file is no fixture but belongs to some: the first state that engine tests share.
pub(crate) fn is_auxiliary(file: &Value) -> bool {
    file.get("pre").is_some() && (file.get("environment").is_some() || file.get("genesis").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_are_told_by_content() {
        let state = json!({"env": {}, "pre": {}, "transaction": {}, "post": {}});
        assert_eq!(Format::of(&state), Some(Format::State));
        let blockchain = json!({"blocks": [], "genesisBlockHeader": {}, "pre": {}, "postState": {}});
        assert_eq!(Format::of(&blockchain), Some(Format::Blockchain));
        let engine = json!({"engineNewPayloads": [], "genesisBlockHeader": {}, "pre": {}});
        assert_eq!(Format::of(&engine), Some(Format::Engine));
        assert_eq!(Format::of(&json!({"txbytes": "0x", "result": {}})), Some(Format::Transaction));
        assert_eq!(Format::of(&json!({"in": [], "root": "0x"})), Some(Format::Trie));
        assert_eq!(Format::of(&json!({"in": "INVALID", "out": "0x"})), Some(Format::Rlp));
        for other in [json!({"pre": {}}), json!([]), json!("text"), json!(null)] {
            assert_eq!(Format::of(&other), None);
        }
        assert!(is_auxiliary(&json!({"pre": {}, "environment": {}, "network": "Prague"})));
        assert!(!is_auxiliary(&blockchain));
    }
}
