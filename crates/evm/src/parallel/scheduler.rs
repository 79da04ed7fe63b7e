//! Who does what next: transactions are handed out in block order, and become final in block order.

use super::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, bound};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

/// How far execution may be ahead of what is final, in transactions for each thread: what is further ahead is more
/// likely to be done in vain.
pub(super) const WINDOW_PER_THREAD: usize = bound(64, 2) as usize;

/// What a thread is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Execute these transactions, in this order.
    Execute(Range<usize>),
    /// Make final what is executed and next in order.
    Commit,
    /// Ask again: others are at work on what has to come first.
    Idle,
    /// Leave: every transaction is final, or the execution was given up.
    Done,
}

/// Hands out the transactions of a block to threads that ask for tasks until none is left.
///
/// A transaction is first executed, speculatively, and becomes final when all before it are. One that needs another's
/// result waits for it without holding a thread.
pub(crate) struct Scheduler {
    /// Where each chunk starts, and where the last one ends.
    bounds: Vec<usize>,
    next_chunk: AtomicUsize,
    executed: Vec<AtomicBool>,
    /// All transactions before this one are final.
    frontier: AtomicUsize,
    /// Transactions that wait, by the one they wait for.
    waiting: Mutex<BTreeMap<usize, Vec<usize>>>,
    waiting_count: AtomicUsize,
    /// Transactions that waited and need not any more.
    ready: Mutex<BinaryHeap<Reverse<usize>>>,
    ready_count: AtomicUsize,
    /// Whether only what is next in order may be executed: speculation does not pay here.
    is_paused: AtomicBool,
    is_stopped: AtomicBool,
    window: usize,
}

impl Scheduler {
    /// A schedule of as many transactions as `chunks` has in all; each chunk is for one thread to execute in a row.
    pub(crate) fn new(chunks: impl IntoIterator<Item = usize>, threads: usize) -> Self {
        let mut bounds = vec![0];
        let mut count = 0;
        for length in chunks {
            count += length;
            bounds.push(count);
        }
        Self {
            bounds,
            next_chunk: AtomicUsize::new(0),
            executed: (0..count).map(|_| AtomicBool::new(false)).collect(),
            frontier: AtomicUsize::new(0),
            waiting: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            ready: Mutex::default(),
            ready_count: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
            is_stopped: AtomicBool::new(count == 0),
            window: WINDOW_PER_THREAD.saturating_mul(threads),
        }
    }

    /// The next task of a thread that has none.
    pub(crate) fn next(&self) -> Task {
        if self.is_stopped.load(Ordering::SeqCst) {
            return Task::Done;
        }
        if self.is_executed(self.frontier()) {
            return Task::Commit;
        }
        if let Some(ready) = self.take_ready() {
            return Task::Execute(ready..ready + 1);
        }
        if self.is_paused.load(Ordering::SeqCst) {
            // Whoever commits also executes what is next; it has to be asked for, or nobody would.
            return if self.is_unclaimed(self.frontier()) { Task::Commit } else { Task::Idle };
        }
        self.claim_within_window().map_or(Task::Idle, Task::Execute)
    }

    /// Takes the chunk that starts with transaction `first`, if nobody has.
    pub(crate) fn claim(&self, first: usize) -> Option<Range<usize>> {
        let chunk = self.next_chunk.load(Ordering::SeqCst);
        if *self.bounds.get(chunk)? != first || chunk + 1 >= self.bounds.len() {
            return None;
        }
        self.take_chunk(chunk)
    }

    /// The result of `transaction` is published: whoever waits for it may go on.
    pub(crate) fn set_executed(&self, transaction: usize) {
        self.executed[transaction].store(true, Ordering::SeqCst);
        if self.waiting_count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let freed = self.waiting.lock().remove(&transaction);
        for freed in freed.into_iter().flatten() {
            self.waiting_count.fetch_sub(1, Ordering::SeqCst);
            self.ready.lock().push(Reverse(freed));
            self.ready_count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The result of `transaction` is taken back, and will be published anew.
    pub(crate) fn unset_executed(&self, transaction: usize) {
        self.executed[transaction].store(false, Ordering::SeqCst);
    }

    /// Leaves `transaction` until `other`, an earlier one, is executed. `false` when it is already: then go on with it.
    pub(crate) fn wait_for(&self, transaction: usize, other: usize) -> bool {
        let mut waiting = self.waiting.lock();
        // Counted before looking, as the other side publishes before it looks at the count.
        self.waiting_count.fetch_add(1, Ordering::SeqCst);
        if self.is_executed(other) {
            self.waiting_count.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        waiting.entry(other).or_default().push(transaction);
        true
    }

    /// Whether the transaction's result is published.
    pub(crate) fn is_executed(&self, transaction: usize) -> bool {
        self.executed.get(transaction).is_some_and(|executed| executed.load(Ordering::SeqCst))
    }

    /// The first transaction that is not final.
    pub(crate) fn frontier(&self) -> usize {
        self.frontier.load(Ordering::SeqCst)
    }

    /// The first transaction that is not final has become so. Only one thread at a time may say this.
    pub(crate) fn advance(&self) {
        let frontier = self.frontier() + 1;
        self.frontier.store(frontier, Ordering::SeqCst);
        if frontier == self.executed.len() {
            self.stop();
        }
    }

    /// Ends or resumes speculation.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::SeqCst);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::SeqCst)
    }

    /// Sends every thread home.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    fn take_ready(&self) -> Option<usize> {
        if self.ready_count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let Reverse(transaction) = self.ready.lock().pop()?;
        self.ready_count.fetch_sub(1, Ordering::SeqCst);
        Some(transaction)
    }

    fn is_unclaimed(&self, transaction: usize) -> bool {
        self.bounds.get(self.next_chunk.load(Ordering::SeqCst)).is_some_and(|first| *first <= transaction)
    }

    fn claim_within_window(&self) -> Option<Range<usize>> {
        let chunk = self.next_chunk.load(Ordering::SeqCst);
        let first = *self.bounds.get(chunk)?;
        if chunk + 1 >= self.bounds.len() || first >= self.frontier().saturating_add(self.window) {
            return None;
        }
        self.take_chunk(chunk)
    }

    fn take_chunk(&self, chunk: usize) -> Option<Range<usize>> {
        self.next_chunk.compare_exchange(chunk, chunk + 1, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        Some(*self.bounds.get(chunk)?..*self.bounds.get(chunk + 1)?)
    }
}
