//! The scheduler: nothing is lost, done twice or done out of order, and nobody waits for ever.

use super::super::scheduler::{Scheduler, Task, WINDOW_PER_THREAD};
use super::super::sync::{Mutex, yield_now};
use super::{CHUNK_MAX, below, check, check_all, chunks, once_in};
use shuttle::thread;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const THREADS: usize = 3;
const TRANSACTIONS: usize = 7;

/// A block whose transactions do nothing but wait for each other. What is counted here is no part of the model: so it
/// is counted with atomics that the checker does not know.
struct Block {
    scheduler: Scheduler,
    committer: Mutex<()>,
    /// The transactions that each waits for.
    dependencies: Vec<Option<usize>>,
    executions: Vec<AtomicUsize>,
    finals: AtomicUsize,
}

impl Block {
    fn new(chunks: Vec<usize>, dependency: impl Fn(usize) -> Option<usize>) -> Self {
        let count = chunks.iter().sum();
        Self {
            // The window of one thread, so that it is smaller than the block.
            scheduler: Scheduler::new(chunks, 1),
            committer: Mutex::new(()),
            dependencies: (0..count).map(dependency).collect(),
            executions: (0..count).map(|_| AtomicUsize::new(0)).collect(),
            finals: AtomicUsize::new(0),
        }
    }

    fn random() -> Self {
        let dependency = |transaction| (transaction > 0 && once_in(2)).then(|| below(transaction));
        Self::new(chunks(TRANSACTIONS), dependency)
    }

    /// Does one task, as a worker does. Whether there was something to do.
    fn step(&self) -> bool {
        match self.scheduler.next() {
            Task::Execute(range) => {
                let ahead = range.start - self.scheduler.frontier().min(range.start);
                assert!(ahead < WINDOW_PER_THREAD + CHUNK_MAX - 1, "{range:?} is too far ahead");
                self.execute(range);
                true
            }
            Task::Commit => self.commit(),
            Task::Idle | Task::Done => false,
        }
    }

    fn execute(&self, range: Range<usize>) {
        for transaction in range {
            let dependency = self.dependencies[transaction];
            if dependency.is_some_and(|dependency| self.scheduler.wait_for(transaction, dependency)) {
                continue;
            }
            self.executions[transaction].fetch_add(1, Relaxed);
            self.scheduler.set_executed(transaction);
        }
    }

    fn commit(&self) -> bool {
        let Some(_committer) = self.committer.try_lock() else { return false };
        let mut has_advanced = false;
        while !self.scheduler.is_stopped() {
            let next = self.scheduler.frontier();
            if self.scheduler.is_executed(next) {
                if once_in(3) {
                    self.scheduler.unset_executed(next);
                    self.scheduler.set_executed(next);
                }
                self.advance(next);
            } else if let Some(range) = self.scheduler.is_paused().then(|| self.scheduler.claim(next)).flatten() {
                for transaction in range {
                    self.executions[transaction].fetch_add(1, Relaxed);
                    self.scheduler.set_executed(transaction);
                    self.advance(transaction);
                }
            } else {
                break;
            }
            has_advanced = true;
        }
        has_advanced
    }

    fn advance(&self, transaction: usize) {
        assert_eq!(self.executions[transaction].load(Relaxed), 1, "{transaction} is executed once by whoever takes it");
        assert_eq!(self.finals.fetch_add(1, Relaxed), transaction, "final in block order");
        self.scheduler.set_paused(once_in(2));
        self.scheduler.advance();
    }

    /// A thread that is alone always finds something to do until all is done.
    fn finish_alone(&self) {
        while !self.scheduler.is_stopped() {
            assert!(self.step(), "a task was lost at {}", self.scheduler.frontier());
        }
        self.assert_done();
    }

    /// Once the first transaction is final, the second is executed or can be.
    fn assert_second_goes_on(&self) {
        let task = self.scheduler.next();
        let is_executed = self.scheduler.is_executed(1);
        assert_eq!(task, if is_executed { Task::Commit } else { Task::Execute(1..2) });
    }

    fn assert_done(&self) {
        assert_eq!(self.scheduler.next(), Task::Done);
        assert_eq!(self.finals.load(Relaxed), self.executions.len());
    }
}

#[test]
fn threads_together_finish_every_block() {
    let model = || {
        let block = Block::random();
        let work = || {
            while !block.scheduler.is_stopped() {
                if !block.step() {
                    yield_now();
                }
            }
        };
        thread::scope(|scope| {
            (1..THREADS).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        block.assert_done();
    };
    check(model, 20_000);
}

#[test]
fn whatever_threads_leave_undone_the_last_one_can_finish() {
    let model = || {
        let block = Block::random();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let steps = below(TRANSACTIONS);
                let block = &block;
                scope.spawn(move || (0..steps).for_each(|_| _ = block.step()));
            }
        });
        block.finish_alone();
    };
    check(model, 20_000);
}

#[test]
fn stopping_sends_every_thread_home() {
    let model = || {
        let block = Block::random();
        let lose_tasks = || {
            while block.scheduler.next() != Task::Done {
                yield_now();
            }
        };
        thread::scope(|scope| {
            (1..THREADS).for_each(|_| drop(scope.spawn(lose_tasks)));
            block.scheduler.stop();
        });
        assert_eq!(block.scheduler.next(), Task::Done);
    };
    check(model, 5_000);
}

/// A block of single transactions of which each waits for the one before.
fn chain(count: usize) -> Block {
    Block::new(vec![1; count], |transaction| transaction.checked_sub(1))
}

#[test]
fn whoever_waits_while_the_other_is_done_is_woken() {
    check_all(|| {
        let block = chain(2);
        assert_eq!(block.scheduler.next(), Task::Execute(0..1));
        assert_eq!(block.scheduler.next(), Task::Execute(1..2));
        thread::scope(|scope| {
            scope.spawn(|| block.execute(1..2));
            block.execute(0..1);
        });
        block.scheduler.advance();
        block.assert_second_goes_on();
    });
}

#[test]
fn whoever_waits_for_a_second_try_is_woken() {
    check_all(|| {
        let block = chain(2);
        assert_eq!(block.scheduler.next(), Task::Execute(0..1));
        block.execute(0..1);
        let scheduler = &block.scheduler;
        thread::scope(|scope| {
            scope.spawn(|| block.execute(1..2));
            scheduler.unset_executed(0);
            scheduler.set_executed(0);
        });
        scheduler.advance();
        block.assert_second_goes_on();
    });
}

#[test]
fn each_transaction_is_handed_out_once() {
    check_all(|| {
        let scheduler = Scheduler::new([1, 1], 1);
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| scheduler.next());
            let other = scheduler.next();
            (one.join().unwrap(), other)
        });
        assert!(one != other || one == Task::Idle, "{one:?}, {other:?}");
        assert!(one != Task::Idle || other != Task::Idle, "somebody gets it");
    });
}

#[test]
fn the_committer_and_a_thread_never_take_the_same_chunk() {
    check_all(|| {
        let scheduler = Scheduler::new([1], 1);
        let (claimed, task) = thread::scope(|scope| {
            let claimed = scope.spawn(|| {
                scheduler.set_paused(true);
                let claimed = scheduler.claim(0);
                scheduler.set_paused(false);
                claimed
            });
            let task = scheduler.next();
            (claimed.join().unwrap(), task)
        });
        assert_eq!(claimed.is_some(), task != Task::Execute(0..1), "{claimed:?}, {task:?}");
    });
}
