//! Files made a chain's state again.

use super::*;
use crate::adapters::StagedState;
use crate::cache::CacheSize;
use crate::snapshot::{Restore, restore};
use heddle_chain::{Chain, ChainConfig};
use heddle_storage::{Database, DatabaseConfig};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tempfile::TempDir;

/// A node that begins.
struct Joining {
    datadir: TempDir,
    chain: Chain,
}

fn open(datadir: &Path, world: &World) -> Chain {
    let database = Database::open(&datadir.join("db"), &DatabaseConfig::default()).unwrap();
    Chain::open(world.chain.genesis().clone(), database, ChainConfig::default()).unwrap()
}

impl Joining {
    fn new(world: &World) -> Self {
        let datadir = tempfile::tempdir().unwrap();
        let chain = open(datadir.path(), world);
        Self { datadir, chain }
    }

    /// Closed and opened again.
    fn reopened(self, world: &World) -> Self {
        let Self { datadir, chain } = self;
        drop(chain);
        let chain = open(datadir.path(), world);
        Self { datadir, chain }
    }

    fn restore(&self, file: &Path, observer: crate::snapshot::Observer<'_>) -> Result<(), Box<dyn Error>> {
        let (chain, datadir, stop) = (&self.chain, self.datadir.path(), &StopFlag::default());
        restore(file, &Restore { chain, datadir, checkpoint: None, cache: CacheSize::default(), stop }, observer)
            .map(drop)
    }

    fn error(&self, file: &Path) -> String {
        self.restore(file, &mut |_, _| {}).unwrap_err().to_string()
    }

    fn is_at_genesis(&self) -> bool {
        self.chain.is_at_genesis()
    }

    /// Whether it has what the chain of a file has, and nothing is left of the way there.
    fn check(&self, world: &World) {
        let (head, expected) = (self.chain.head(), world.chain.head());
        assert_eq!(head.header, expected.header);
        let number = head.header.number;
        assert_eq!(self.chain.block(number).unwrap(), world.chain.block(number).unwrap());
        assert_eq!(self.chain.receipts(number).unwrap(), world.chain.receipts(number).unwrap());
        assert_eq!(self.chain.check(&mut |_| {}).unwrap().first(), []);
        let left = std::fs::read_dir(self.datadir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(Vec::from_iter(left), ["db"]);
    }
}

#[test]
fn a_chain_goes_on_from_a_file() {
    for height in [1, 4, 5, 10] {
        let archive = Archive::of(World::at(height));
        let joining = Joining::new(&archive.world);
        joining.restore(&archive.path(), &mut |_, _| {}).unwrap();
        joining.check(&archive.world);
        archive.world.run_to(height + 3);
        for number in height + 1..=height + 3 {
            let block = archive.world.chain.finalized_block(number).unwrap().unwrap();
            let validators = joining.chain.validators(Height::new(number)).unwrap();
            let context = joining.chain.signing_context();
            joining
                .chain
                .commit(&heddle_primitives::CertifiedBlock::verify(block, &validators, &context).unwrap())
                .unwrap();
        }
        joining.reopened(&archive.world).check(&archive.world);
    }
}

#[test]
fn steps_behind_the_oldest_header_are_kept() {
    // Block 4 ends an epoch, and its header comes with block 5.
    let archive = Archive::of(World::at(5));
    let joining = Joining::new(&archive.world);
    joining.restore(&archive.path(), &mut |_, _| {}).unwrap();
    let step = joining.chain.epoch_step(heddle_primitives::Epoch::default()).unwrap();
    assert_eq!(step, archive.world.chain.epoch_step(heddle_primitives::Epoch::default()).unwrap());
    assert!(step.is_some());
}

#[test]
fn when_it_is_killed_it_goes_on_where_it_was() {
    let archive = Archive::new();
    let steps = {
        let mut steps = 0;
        Joining::new(&archive.world).restore(&archive.path(), &mut |_, _| steps += 1).unwrap();
        steps
    };
    assert!(steps > 6, "{steps}");
    for killed_at in (1..=steps).step_by(steps / 5) {
        let mut joining = Joining::new(&archive.world);
        let mut seen = 0;
        let killed = catch_unwind(AssertUnwindSafe(|| {
            joining.restore(&archive.path(), &mut |_, _| {
                seen += 1;
                assert!(seen < killed_at, "killed");
            })
        }));
        assert!(killed.is_err());
        joining = joining.reopened(&archive.world);
        assert!(joining.is_at_genesis(), "{killed_at}");
        assert_eq!(joining.chain.check(&mut |_| {}).unwrap().first(), []);
        assert!(StagedState::directory(joining.datadir.path()).is_dir());
        joining.restore(&archive.path(), &mut |_, _| {}).unwrap();
        joining.check(&archive.world);
        // Once more is nothing to do.
        joining.restore(&archive.path(), &mut |_, _| {}).unwrap();
        joining.check(&archive.world);
    }
}

#[test]
fn a_file_with_something_wrong_leaves_genesis_and_the_right_one_goes_on() {
    let archive = Archive::new();
    let chunks = archive.chunks();
    let joining = Joining::new(&archive.world);
    let first = chunks.iter().position(|chunk| matches!(chunk, Chunk::Piece(_))).unwrap();
    for at in first..chunks.len() - 1 {
        let mut altered = chunks.clone();
        altered.pop();
        let Chunk::Piece(piece) = &mut altered[at] else { panic!() };
        hostile::alter(piece);
        archive.error_of(&altered);
        let error = joining.error(&archive.beside());
        assert!(hostile::place(&error, at) || error.contains("ends before the state does"), "{at}: {error}");
        assert!(joining.is_at_genesis());
    }
    let mut without = chunks.clone();
    without.pop();
    without.remove(first);
    let other = Joining::new(&archive.world);
    archive.error_of(&without);
    assert!(other.error(&archive.beside()).contains("ends before the state does"));
    assert!(other.is_at_genesis());
    let whole = std::fs::read(archive.path()).unwrap();
    std::fs::write(archive.beside(), &whole[..whole.len() - 1]).unwrap();
    assert!(joining.error(&archive.beside()).contains("it is cut"));
    assert!(joining.is_at_genesis());
    joining.restore(&archive.path(), &mut |_, _| {}).unwrap();
    joining.check(&archive.world);
}

#[test]
fn what_was_put_together_of_another_state_does_not_get_in() {
    let (earlier, later) = (Archive::of(World::at(9)), Archive::new());
    let joining = Joining::new(&later.world);
    let mut seen = 0;
    let killed = catch_unwind(AssertUnwindSafe(|| {
        joining.restore(&earlier.path(), &mut |_, _| {
            seen += 1;
            assert!(seen < 4, "killed");
        })
    }));
    assert!(killed.is_err());
    joining.restore(&later.path(), &mut |_, _| {}).unwrap();
    joining.check(&later.world);
    let error = joining.error(&earlier.path());
    assert!(error.contains("is at block 10: the state of block 9 needs a directory without blocks"), "{error}");
}
