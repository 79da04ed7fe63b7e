//! Accounts whose keys the node holds. Only for development chains: whoever reaches the port can spend from them.

use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use parking_lot::{Mutex, MutexGuard};

/// Signers by address, in the order given.
pub struct DevAccounts {
    signers: Vec<PrivateKeySigner>,
    sending: Mutex<()>,
}

impl DevAccounts {
    /// Unlocks these accounts.
    pub fn new(signers: Vec<PrivateKeySigner>) -> Self {
        Self { signers, sending: Mutex::new(()) }
    }

    /// The accounts' addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.signers.iter().map(PrivateKeySigner::address)
    }

    /// The key of an account.
    pub(crate) fn signer(&self, address: Address) -> Option<&PrivateKeySigner> {
        self.signers.iter().find(|signer| signer.address() == address)
    }

    /// Held from choosing a nonce until the transaction is in the mempool: otherwise two calls at a time would
    /// sign the same nonce.
    pub(crate) fn lock_sending(&self) -> MutexGuard<'_, ()> {
        self.sending.lock()
    }
}
