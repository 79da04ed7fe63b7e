//! The validator registry contract (`contracts/ValidatorRegistry.sol`) as the protocol sees it: what stands where in its
//! storage, the call at the start of every block, and how it begins. Its storage is read by slot, never by a call, so that
//! a node and a light client read the same.

mod layout;
mod notice;
mod start;

#[cfg(test)]
mod tests;

use alloy_primitives::{Address, Bytes, address};
pub use layout::{RegistryStanding, SIGNED_SLOT, read_epoch_length, read_members, read_standing, read_unusable_keys};
pub use notice::RegistryNotice;
pub use start::{Governance, RegistryStart};

/// Where the registry stands on a chain that this version starts: "Heddle" in ASCII.
pub const ADDRESS: Address = address!("0x0000000000000000000000000000486564646c65");
/// Who calls the registry at the start of every block, as it calls the other system contracts.
pub const SYSTEM_ADDRESS: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// The contract's runtime code. A chain keeps that of its genesis, which an older version may have made.
pub fn code() -> Bytes {
    #[expect(clippy::expect_used, reason = "the file is a part of the program")]
    let code = hex::decode(include_str!("../contracts/ValidatorRegistry.hex").trim_end()).expect("hexadecimal");
    code.into()
}
