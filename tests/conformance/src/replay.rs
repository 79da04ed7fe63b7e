//! Importing a test's blocks into a real chain, and judging what becomes of it.
//!
//! A Heddle chain has no reorganisations, but tests have side chains. A block whose parent is not the head is judged on
//! a fresh chain that has imported the block's ancestors; the end of the test is then the chain that Ethereum would
//! have chosen: before the merge the one with the most difficulty, after it the one whose block came last.

use crate::alloc::{Alloc, MemoryState};
use crate::network::Network;
use crate::options::{Mode, Options};
use crate::verdict::{Refusal, Verdict};
use crate::{exceptions, skips};
use alloy_primitives::{B256, U256};
use heddle_chain::{Chain, ChainConfig, ChainError, ExecutionMode, Fault, Head, RecoveredBlock};
use heddle_primitives::{Block, Genesis};
use heddle_storage::{Database, DatabaseConfig};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// A test over a chain, whichever format it came in.
#[derive(Debug)]
pub(crate) struct ChainTest {
    /// The test's name.
    pub(crate) name: String,
    pub(crate) network: Network,
    pub(crate) genesis: Genesis,
    pub(crate) steps: Vec<Step>,
    /// Hash of the chain's last block.
    pub(crate) last: B256,
    pub(crate) post: Post,
}

/// One block to import.
#[derive(Debug)]
pub(crate) struct Step {
    /// The block, unless it is not even one.
    pub(crate) block: Result<Block, Refusal>,
    /// The fixture's name for what is wrong with it; empty when it gives none; `None` for a valid block.
    pub(crate) expected_exception: Option<String>,
}

/// What a fixture says of the state at the end.
#[derive(Debug)]
pub(crate) enum Post {
    State(Alloc),
    Root(B256),
    /// Nothing beside the last block's hash, which commits to it.
    Unknown,
}

/// Judges a test.
pub(crate) fn judge(test: ChainTest, options: &Options) -> Result<Verdict, String> {
    let mut replay = Replay::new(&test.genesis, options)?;
    let mut verdict = Verdict::Passed;
    for (index, step) in test.steps.into_iter().enumerate() {
        let result = match step.block {
            Ok(block) => replay.import(block).map_err(|error| format!("block {index}: {error}"))?,
            Err(refusal) => Err(refusal),
        };
        match (step.expected_exception, result) {
            (None, Ok(())) => {}
            (None, Err(refusal)) => return Err(format!("block {index}: expected valid, refused: {}", refusal.reason)),
            (Some(expected), Ok(())) if skips::is_proof_of_work(&test.network, &test.name, &expected) => {
                return Ok(Verdict::Skipped(skips::PROOF_OF_WORK.reason));
            }
            (Some(expected), Ok(())) => {
                let expected = if expected.is_empty() { "an invalid block".to_owned() } else { expected };
                return Err(format!("block {index}: expected {expected}, but the block was imported"));
            }
            (Some(expected), Err(refusal)) => {
                if let Verdict::PassedForOtherReason(text) = refusal.judge(&expected) {
                    verdict = Verdict::PassedForOtherReason(format!("block {index}: {text}"));
                }
            }
        }
    }
    replay.finish(test.last, &test.post)?;
    Ok(verdict)
}

struct Replay<'a> {
    genesis: &'a Genesis,
    options: &'a Options,
    chain: Chain,
    /// Every valid block so far.
    known: BTreeMap<B256, Known>,
    canonical: B256,
}

struct Known {
    block: RecoveredBlock,
    total_difficulty: U256,
}

impl<'a> Replay<'a> {
    fn new(genesis: &'a Genesis, options: &'a Options) -> Result<Self, String> {
        let chain = open(genesis, options)?;
        Ok(Self { genesis, options, chain, known: BTreeMap::new(), canonical: genesis.hash() })
    }

    /// Imports a block; the outer error is a failure of ours.
    fn import(&mut self, block: Block) -> Result<Result<(), Refusal>, String> {
        let recovered = match RecoveredBlock::recover(self.chain.rules(), block) {
            Ok(recovered) => recovered,
            Err(error) => return Ok(Err(exceptions::block_refusal(&error))),
        };
        if self.known.contains_key(&recovered.hash()) {
            return Ok(Ok(()));
        }
        let parent = recovered.block().header.parent_hash;
        if self.is_known(parent) {
            self.rewind_to(parent)?;
        }
        let parent = self.chain.head();
        match self.chain.import(&recovered) {
            Ok(_) => {}
            Err(error) if error.fault() == Fault::Ours => return Err(format!("our own failure: {error}")),
            Err(error) => {
                let after = self.chain.head().hash();
                let unchanged =
                    if after == parent.hash() { Ok(()) } else { Err("a refused block moved the head".to_owned()) };
                return unchanged.map(|()| Err(refusal(&error)));
            }
        }
        if self.chain.head().hash() != recovered.hash() {
            return Err("an imported block is not the head".to_owned());
        }
        if self.options.mode == Mode::AccessList {
            self.execute_by_access_list(&parent, &recovered)?;
        }
        self.insert(recovered);
        Ok(Ok(()))
    }

    fn execute_by_access_list(&self, parent: &Head, block: &RecoveredBlock) -> Result<(), String> {
        match self.chain.executes_by_access_list(parent, block) {
            Ok(true) => Ok(()),
            Ok(false) => Err("execution by the access list gives something else than in order".to_owned()),
            Err(error) => Err(format!("execution by the access list: {error}")),
        }
    }

    fn insert(&mut self, block: RecoveredBlock) {
        let header = &block.block().header;
        let total_difficulty = self.total_difficulty(header.parent_hash).saturating_add(header.difficulty);
        if header.difficulty.is_zero() || total_difficulty > self.total_difficulty(self.canonical) {
            self.canonical = block.hash();
        }
        self.known.insert(block.hash(), Known { block, total_difficulty });
    }

    fn is_known(&self, hash: B256) -> bool {
        hash == self.genesis.hash() || self.known.contains_key(&hash)
    }

    fn total_difficulty(&self, hash: B256) -> U256 {
        self.known.get(&hash).map_or(self.genesis.header().difficulty, |known| known.total_difficulty)
    }

    /// Makes a known block the head.
    fn rewind_to(&mut self, hash: B256) -> Result<(), String> {
        if self.chain.head().hash() == hash {
            return Ok(());
        }
        let mut ancestors = Vec::new();
        let mut next = hash;
        while let Some(known) = self.known.get(&next) {
            ancestors.push(&known.block);
            next = known.block.block().header.parent_hash;
        }
        self.chain = open(self.genesis, self.options)?;
        for block in ancestors.into_iter().rev() {
            self.chain.import(block).map_err(|error| format!("a block that was valid is refused: {error}"))?;
        }
        Ok(())
    }

    fn finish(mut self, last: B256, post: &Post) -> Result<(), String> {
        if self.canonical != last {
            return Err(format!("last block: expected {last}, got {}", self.canonical));
        }
        self.rewind_to(last)?;
        let head = self.chain.head();
        let expected = match post {
            Post::Unknown => return Ok(()),
            Post::Root(root) if *root == head.header.state_root => return Ok(()),
            Post::Root(root) => return Err(format!("state root: expected {root}, got {}", head.header.state_root)),
            Post::State(alloc) => MemoryState::new(alloc)?,
        };
        let difference = expected.first_difference(&head.state())?;
        match difference {
            Some(difference) => Err(difference),
            None if expected.root() == head.header.state_root => Ok(()),
            None => Err("the state has accounts or slots that the fixture does not list".to_owned()),
        }
    }
}

/// Threads that execute a block, where the mode asks for several.
const EXECUTION_THREADS: usize = 4;

fn open(genesis: &Genesis, options: &Options) -> Result<Chain, String> {
    const MIB: usize = 1024 * 1024;
    // A chain of a few blocks needs no room, and many are open at once.
    let database = DatabaseConfig { block_cache_bytes: 8 * MIB, write_buffer_bytes: 16 * MIB, open_files_max: 64 };
    let chain = ChainConfig {
        commits_synced: false,
        code_cache_bytes: MIB as u64,
        state_cache_bytes: 4 * MIB,
        execution: match options.mode {
            Mode::Parallel => ExecutionMode::Parallel,
            Mode::Sequential | Mode::AccessList => ExecutionMode::Sequential,
        },
        // Also on a machine of one core, where one thread would not run anything side by side.
        execution_threads: NonZeroUsize::new(EXECUTION_THREADS),
        ..ChainConfig::default()
    };
    let database = Database::open_in_memory(&database).map_err(|error| format!("cannot open a database: {error}"))?;
    Chain::open(genesis.clone(), database, chain).map_err(|error| format!("genesis: {error}"))
}

fn refusal(error: &ChainError) -> Refusal {
    match error {
        ChainError::InvalidBlock(error) => exceptions::block_refusal(error),
        error => Refusal { reason: error.to_string(), names: exceptions::WRONG_PARENT },
    }
}
