//! The pieces to fetch: which wait, which are asked for, which are being verified.

use crate::PeerId;
use heddle_primitives::{Bug, StateTask, planted};
use std::collections::BTreeMap;
use std::time::Duration;

/// Names a task that was handed out.
pub type TaskId = u64;

/// A task that somebody was asked for.
#[derive(Debug)]
struct Running {
    task: StateTask,
    since: Duration,
    /// Who has not answered yet: one, or two where the first is late.
    asked: Vec<PeerId>,
}

/// A task with an answer that is being verified.
#[derive(Debug)]
pub(super) struct Verifying {
    /// The task.
    pub(super) task: StateTask,
    /// Whose answer it is.
    pub(super) peer: PeerId,
    /// Length of the answer in bytes.
    pub(super) bytes: usize,
    /// How long the peer took.
    pub(super) took: Duration,
}

/// What belongs to an account is fetched before further accounts, so that little waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Code,
    Storage,
    Proof,
    Accounts,
}

impl Rank {
    fn of(task: &StateTask) -> Self {
        match task {
            StateTask::Code { .. } => Self::Code,
            StateTask::Storage { .. } => Self::Storage,
            StateTask::RangeProof { .. } => Self::Proof,
            StateTask::Accounts { .. } => Self::Accounts,
        }
    }
}

/// All tasks of one pivot.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    waiting: BTreeMap<(Rank, TaskId), StateTask>,
    running: BTreeMap<TaskId, Running>,
    verifying: BTreeMap<TaskId, Verifying>,
    next_id: TaskId,
}

impl Tasks {
    /// Lets tasks wait for a peer.
    pub(super) fn add(&mut self, tasks: Vec<StateTask>) {
        for task in tasks {
            self.next_id += 1;
            self.waiting.insert((Rank::of(&task), self.next_id), task);
        }
    }

    /// Forgets all that is not being verified.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.verifying.is_empty()
    }

    /// How many answers are being verified.
    pub(super) fn verifying(&self) -> usize {
        self.verifying.len()
    }

    /// Hands the first waiting task to the peer that `choose` names.
    pub(super) fn start(
        &mut self,
        now: Duration,
        choose: impl FnOnce() -> Option<PeerId>,
    ) -> Option<(TaskId, PeerId, StateTask)> {
        let entry = self.waiting.first_entry()?;
        let peer = choose()?;
        let ((_, id), task) = entry.remove_entry();
        self.running.insert(id, Running { task: task.clone(), since: now, asked: vec![peer.clone()] });
        Some((id, peer, task))
    }

    /// Hands the task that is waited for longest, if that is more than `patience`, to one more peer, which `choose` names
    /// in view of the one that is late. Returns who is late, too.
    pub(super) fn start_again(
        &mut self,
        now: Duration,
        patience: Duration,
        choose: impl FnOnce(&PeerId) -> Option<PeerId>,
    ) -> Option<(TaskId, PeerId, StateTask, PeerId)> {
        let late = self.running.iter_mut().filter(|(_, task)| task.asked.len() == 1 && now >= task.since + patience);
        let (id, running) = late.min_by_key(|(_, running)| running.since)?;
        let slow = running.asked.first()?.clone();
        let peer = choose(&slow)?;
        running.asked.push(peer.clone());
        Some((*id, peer, running.task.clone(), slow))
    }

    /// A peer answered with so many bytes after so long: from now on it is verified. `None` when somebody else was faster.
    pub(super) fn verify(&mut self, id: TaskId, peer: PeerId, bytes: usize, took: Duration) -> Option<StateTask> {
        let Running { task, .. } = self.running.remove(&id)?;
        self.verifying.insert(id, Verifying { task: task.clone(), peer, bytes, took });
        Some(task)
    }

    /// It is verified.
    pub(super) fn verified(&mut self, id: TaskId) -> Option<Verifying> {
        self.verifying.remove(&id)
    }

    /// A peer did not answer, or with nothing of use: the task waits again, unless somebody else is asked for it.
    pub(super) fn fail(&mut self, id: TaskId, peer: &PeerId) {
        let Some(running) = self.running.get_mut(&id) else { return };
        running.asked.retain(|asked| asked != peer);
        if !running.asked.is_empty() || planted(Bug::PieceLost) {
            return;
        }
        if let Some(Running { task, .. }) = self.running.remove(&id) {
            self.add(vec![task]);
        }
    }
}

/// Whether an answer left something out: the rest is a task of the same kind. A proof is whole, whatever follows from it.
pub(super) fn is_unfinished(task: &StateTask, following: &[StateTask]) -> bool {
    Rank::of(task) != Rank::Proof && following.iter().any(|next| Rank::of(next) == Rank::of(task))
}
