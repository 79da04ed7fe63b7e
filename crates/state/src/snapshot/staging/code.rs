//! Code.

use super::marks;
use super::{AcceptError, Accepted, PieceError, Staging, plan};
use alloy_primitives::{B256, Bytes, keccak256};
use heddle_storage::Table;
use std::collections::BTreeSet;

impl Staging {
    pub(super) fn accept_code(&self, hashes: &[B256], codes: &[Bytes]) -> Result<Accepted, AcceptError> {
        if codes.is_empty() {
            return Err(AcceptError::Peer(PieceError::NoCode));
        }
        let mut missing: BTreeSet<_> = hashes.iter().copied().collect();
        let mut asked = hashes.iter();
        let mut found = Vec::with_capacity(codes.len());
        for code in codes {
            let hash = keccak256(code);
            if !asked.any(|asked| *asked == hash) {
                return Err(AcceptError::Peer(PieceError::Code(hash)));
            }
            missing.remove(&hash);
            found.push((hash, code));
        }
        let mut write = self.write();
        for (hash, code) in found {
            let wanted: Vec<_> = marks::missing_codes(&write.snapshot, Some(hash))?.collect::<Result<_, _>>()?;
            // Another answer brought it, or no account has it any more.
            if wanted.is_empty() {
                continue;
            }
            wanted.iter().for_each(|(_, account)| marks::set_missing_code(&mut write.batch, hash, *account, false));
            let bytes = (hash.len() + code.len()) as u64;
            write.batch.put(Table::Code, hash, code);
            write.accepted.codes += 1;
            write.accepted.bytes += bytes;
            write.counts.codes += 1;
            write.counts.bytes += bytes;
        }
        plan::code_tasks(missing, &mut write.accepted.tasks);
        Ok(write.commit(|_, _| Ok(()))?)
    }
}
