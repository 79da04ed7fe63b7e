//! Bugs on request, so that the simulator can prove that it would find them.

/// A mistake that could be made somewhere in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Half of the power counts as a quorum.
    QuorumOffByOne,
    /// Signed messages leave before the log is on disk.
    PublishBeforeFlush,
    /// The sign state is not asked before signing.
    SignStateIgnored,
    /// Sync commits blocks without verifying their certificates.
    CertificateUnverified,
    /// A block may follow another block than the head.
    StaleParent,
    /// A block is voted for without being executed.
    Unexecuted,
    /// Anybody may propose in any round.
    AnyProposer,
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants one bug in everything that runs on this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted on this thread.
    pub fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{plant, planted};

/// Whether this bug is planted: never, without the feature `planted-bugs`.
#[cfg(not(feature = "planted-bugs"))]
pub const fn planted(_: Bug) -> bool {
    false
}
