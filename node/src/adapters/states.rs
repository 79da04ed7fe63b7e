//! States: what is fetched goes into a staging database and from there to the chain; what peers fetch comes from the
//! states that the chain keeps.

use super::sync::commit_error;
use alloy_primitives::Bytes;
use async_trait::async_trait;
use heddle_chain::{AdoptedBase, Chain, ChainError, StateView};
use heddle_primitives::{
    AccountRange, AccountsRequest, CertifiedHeader, CodeRequest, FinalizedBlock, Height, Pivot, RangeProofRequest,
    Receipt, Response, SnapshotOffer, StateTask, StorageRanges, StorageRequest,
};
use heddle_state::{AcceptError, RestoreObserver, StagedProgress, Staging, StateError};
use heddle_storage::{Database, DatabaseConfig, StorageError};
use heddle_sync::{CommitError, Past, PieceRefusal, SnapshotSource, StateProgress, StateTarget, SyncedBase};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Names the file beside the staging database that is there when the chain refused what is staged.
const UNUSABLE_FILE: &str = "unusable";
/// Names the file beside the staging database with the height of the state that is fetched.
const PIVOT_FILE: &str = "pivot";

/// A state on its way into a chain that is at genesis.
pub struct StagedState {
    chain: Chain,
    staging: Staging,
    directory: PathBuf,
}

impl StagedState {
    /// The directory of the staging database in a data directory.
    pub fn directory(datadir: &Path) -> PathBuf {
        datadir.join("state-sync")
    }

    /// Goes on with what an earlier one left in the data directory; what is damaged is fetched again.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(chain: Chain, datadir: &Path, config: &DatabaseConfig) -> Result<Self, Box<dyn Error>> {
        let directory = Self::directory(datadir);
        if directory.join(UNUSABLE_FILE).exists() {
            Self::remove(datadir)?;
        }
        let open = || Database::open_scratch(&directory.join("db"), config);
        let database = match open() {
            Err(error) if !matches!(error, StorageError::Locked { .. }) => {
                tracing::warn!(%error, "what was staged is of no use: fetching it again");
                Self::remove(datadir)?;
                open()
            }
            opened => opened,
        };
        let staging = Staging::new(database?)?;
        // Files of an attempt that was killed are worth nothing.
        let tables = directory.join("tables");
        remove(&tables)?;
        std::fs::create_dir(tables)?;
        Ok(Self { chain, staging, directory })
    }

    /// Height of the state that an earlier one was fetching. Without it another one may be chosen, which costs time and
    /// nothing else.
    pub fn resumed(&self) -> Option<Height> {
        let text = std::fs::read_to_string(self.directory.join(PIVOT_FILE)).ok()?;
        text.parse().ok().map(Height::new)
    }

    /// Removes what was staged in a data directory, if anything was: the chain has a state. It is moved out of the way
    /// first, so that a part of it is never taken for the whole.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(datadir: &Path) -> std::io::Result<()> {
        let (directory, doomed) = (Self::directory(datadir), datadir.join("state-sync.removed"));
        remove(&doomed)?;
        match std::fs::rename(directory, &doomed) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => remove(&doomed),
        }
    }

    /// Gives the state to the chain.
    ///
    /// # Errors
    /// Those of [`Chain::adopt`]; the chain is at genesis then.
    pub fn adopt(&self, base: AdoptedBase, observer: RestoreObserver<'_>) -> Result<(), ChainError> {
        self.chain.adopt(base, &self.staging, &self.directory.join("tables"), observer).map(drop)
    }
}

fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn words<T>(result: Result<T, StateError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl StateTarget for StagedState {
    fn plan(&self, pivot: Pivot) -> Result<Vec<StateTask>, String> {
        let noted = std::fs::write(self.directory.join(PIVOT_FILE), pivot.height.to_string());
        noted.map_err(|error| format!("cannot note the height of the state: {error}"))?;
        words(self.staging.plan(pivot))
    }

    fn accept(&self, pivot: Pivot, task: &StateTask, response: &Response) -> Result<Vec<StateTask>, PieceRefusal> {
        match self.staging.accept(pivot, task, response) {
            Ok(accepted) => Ok(accepted.tasks),
            Err(AcceptError::Peer(error)) => Err(PieceRefusal::Peer(error.to_string())),
            Err(AcceptError::Ours(error)) => Err(PieceRefusal::Ours(error.to_string())),
        }
    }

    fn progress(&self) -> Result<StateProgress, String> {
        let StagedProgress { covered, accounts, slots, codes, bytes } = words(self.staging.progress())?;
        Ok(StateProgress { covered, accounts, slots, codes, bytes })
    }

    fn finish(&self, base: SyncedBase) -> Result<(), String> {
        let SyncedBase { pivot, ancestors, validator_sets } = base;
        let adopted = self.adopt(AdoptedBase { pivot, ancestors, validator_sets }, &mut |_| {});
        adopted.map_err(|error| {
            if let ChainError::State(StateError::Corrupt { .. } | StateError::MissingCode(_)) = &error {
                // It would be adopted as little the next time; should this not be written, that is tried once more.
                let _ = std::fs::write(self.directory.join(UNUSABLE_FILE), error.to_string());
            }
            error.to_string()
        })
    }
}

/// The states that the chain keeps, as they are served.
pub struct ServedStates(pub Chain);

impl ServedStates {
    fn read<T>(
        &self,
        height: Height,
        read: impl FnOnce(StateView) -> Result<T, StateError>,
    ) -> Result<Option<T>, String> {
        words(self.0.snapshot(height).map(read).transpose())
    }
}

impl SnapshotSource for ServedStates {
    fn offers(&self) -> Vec<SnapshotOffer> {
        self.0.snapshots()
    }

    fn accounts(&self, request: &AccountsRequest, bytes_max: usize) -> Result<Option<AccountRange>, String> {
        self.read(request.height, |state| state.serve_accounts(request, bytes_max))
    }

    fn storage(&self, request: &StorageRequest, bytes_max: usize) -> Result<Option<StorageRanges>, String> {
        self.read(request.height, |state| state.serve_storage(request, bytes_max))
    }

    fn code(&self, request: &CodeRequest, bytes_max: usize) -> Result<Option<Vec<Bytes>>, String> {
        // Code is named by its hash and never removed: the newest state has that of all others.
        let Some(newest) = self.0.snapshots().first().copied() else { return Ok(None) };
        self.read(newest.height, |state| state.serve_code(&request.hashes, bytes_max))
    }

    fn range_proof(&self, request: &RangeProofRequest) -> Result<Option<Vec<Bytes>>, String> {
        self.read(request.height, |state| state.serve_range_proof(request))
    }
}

/// A chain whose beginning is absent.
pub struct ChainPast(pub Chain);

impl ChainPast {
    async fn write(
        &self,
        write: impl FnOnce(&Chain) -> Result<u64, ChainError> + Send + 'static,
    ) -> Result<(), CommitError> {
        let chain = self.0.clone();
        let written = tokio::task::spawn_blocking(move || write(&chain)).await;
        written.map_err(|error| CommitError::Internal(error.to_string()))?.map(drop).map_err(commit_error)
    }
}

#[async_trait]
impl Past for ChainPast {
    fn head(&self) -> Height {
        self.0.head().height()
    }

    fn headers_from(&self) -> Height {
        Height::new(self.0.headers_from())
    }

    fn blocks_from(&self) -> Height {
        Height::new(self.0.blocks_from())
    }

    async fn add_headers(&self, newest_first: Vec<CertifiedHeader>) -> Result<(), CommitError> {
        self.write(move |chain| chain.backfill_headers(&newest_first)).await
    }

    async fn add_blocks(&self, newest_first: Vec<(FinalizedBlock, Vec<Receipt>)>) -> Result<(), CommitError> {
        self.write(move |chain| chain.backfill_blocks(newest_first)).await
    }
}
