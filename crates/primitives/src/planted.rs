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
    /// The log is not replayed at a start, and nobody notices.
    ReplaySkipped,
    /// A log that a crash tore is refused.
    TornLogRefused,
    /// A locked validator votes for whatever is proposed.
    LockIgnored,
    /// Whatever is stuck stays silent.
    NoRebroadcast,
    /// Anybody may propose in any round.
    AnyProposer,
    /// Every signature is good.
    SignatureUnverified,
    /// Sync takes headers for final without verifying their certificates.
    CertificateUnverified,
    /// A validator that signs a certificate twice counts twice.
    RepeatedSigners,
    /// Anybody's vote in a later round is followed.
    RoundUnjustified,
    /// A block may follow another block than the head.
    StaleParent,
    /// The certificate of a block's parent is not verified.
    ParentCertificateUnverified,
    /// A block may be dated as one likes.
    TimestampIgnored,
    /// A block may pay anybody.
    BeneficiaryIgnored,
    /// A block is voted for without being executed.
    Unexecuted,
    /// Gas and receipts that execution gives are not compared with the header's.
    OutcomeIgnored,
    /// The state root that execution gives is not compared with the header's.
    StateRootIgnored,
    /// State sync takes a header as its pivot without verifying its certificate.
    PivotUnverified,
    /// Who offered another block than the final one is not blamed.
    ForgedOfferIgnored,
    /// Who sent a wrong piece of the state is asked again.
    LiarKept,
    /// A piece that a peer failed to send is forgotten.
    PieceLost,
    /// A state that nobody serves any more is waited for.
    PivotKept,
    /// The headers before the pivot need not lead to it.
    AncestorsUnlinked,
}

impl Bug {
    /// Those that a network of nodes must suffer from.
    pub const ALL: [Self; 19] = [
        Self::QuorumOffByOne,
        Self::PublishBeforeFlush,
        Self::SignStateIgnored,
        Self::ReplaySkipped,
        Self::TornLogRefused,
        Self::LockIgnored,
        Self::NoRebroadcast,
        Self::AnyProposer,
        Self::SignatureUnverified,
        Self::CertificateUnverified,
        Self::RepeatedSigners,
        Self::RoundUnjustified,
        Self::StaleParent,
        Self::ParentCertificateUnverified,
        Self::TimestampIgnored,
        Self::BeneficiaryIgnored,
        Self::Unexecuted,
        Self::OutcomeIgnored,
        Self::StateRootIgnored,
    ];

    /// Those that a node which fetches a state must suffer from.
    pub const OF_STATE_SYNC: [Self; 6] = [
        Self::PivotUnverified,
        Self::ForgedOfferIgnored,
        Self::LiarKept,
        Self::PieceLost,
        Self::PivotKept,
        Self::AncestorsUnlinked,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants one bug in everything that runs on this thread, or none; gives the one that was planted before.
    pub fn plant(bug: Option<Bug>) -> Option<Bug> {
        PLANTED.replace(bug)
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
