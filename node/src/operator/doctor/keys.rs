//! Whether the keys can be used, and the sign state is the validator's on this chain, and not an old one.

use super::super::Finding;
use super::super::words::count;
use super::database::Stored;
use crate::command::Prospect;
use crate::keys::{KeyFile, KeyFileError, SignStateError, SignStateStore, file};
use heddle_consensus::{CoreError, SignState, SignStateRecord, last_logged};
use heddle_primitives::{Genesis, Validator, ValidatorAddress};
use heddle_storage::{ConsensusLog, frames};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Longest node key or passphrase file that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 4_096;

pub(super) fn check(prospect: &Prospect, genesis: Option<&Genesis>, stored: Option<&Stored>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match file::read(&prospect.node_key, SECRET_BYTES_MAX) {
        Ok(_) => Finding::ok("modes", format!("{} is this user's alone", prospect.node_key.display())),
        Err(error) if error.is_absence() => {
            Finding::ok("modes", format!("{} is made at the first start", prospect.node_key.display()))
        }
        Err(error) => Finding::refused("modes", &error),
    });
    if let Some(passphrase) = &prospect.passphrase_file
        && let Err(error) = file::read(passphrase, SECRET_BYTES_MAX)
    {
        findings.push(Finding::refused("modes", &error));
    }
    let Some(path) = &prospect.validator_key else { return findings };
    let key = match KeyFile::read(path) {
        Ok(key) => key,
        Err(error) => {
            let check = if matches!(error, KeyFileError::File(_)) { "modes" } else { "key" };
            findings.push(Finding::refused(check, &error));
            return findings;
        }
    };
    let public_key = key.public_key();
    let address = Validator::new(public_key, 1, Default::default()).address;
    findings.push(membership(address, stored));
    if let Some(genesis) = genesis {
        findings.push(sign_state(prospect, genesis, public_key.to_bytes(), address, stored));
    }
    findings
}

fn membership(address: ValidatorAddress, stored: Option<&Stored>) -> Finding {
    let Some(validators) = stored.and_then(|stored| stored.validators.as_deref()) else {
        return Finding::ok("key", format!("is of the validator {address}"));
    };
    match validators.get(&address) {
        Some(member) => Finding::ok("key", format!("is of the validator {address}, of power {}", member.power)),
        None => {
            let text = format!(
                "is of {address}, which is none of the {}",
                count(validators.validators().len() as u64, "validator")
            );
            Finding::warning("key", text, "nothing, when it is to become one; otherwise see `heddle validators`")
        }
    }
}

fn sign_state(
    prospect: &Prospect,
    genesis: &Genesis,
    public_key: [u8; 32],
    address: ValidatorAddress,
    stored: Option<&Stored>,
) -> Finding {
    let path = &prospect.sign_state;
    // Before the sign state, which a running node writes after the log: what it signs meanwhile must not seem forgotten.
    let logged = records(&prospect.datadir.join("consensus.log"));
    let mut record = match SignStateStore::read(path) {
        Ok(Some(record)) => record,
        Ok(None) if prospect.init_sign_state => {
            let fix = "leave --unsafe-init-sign-state away after the first start";
            return Finding::warning("sign-state", format!("{} is made at the start, as told", path.display()), fix);
        }
        Ok(None) => return Finding::refused("sign-state", &SignStateError::Missing(path.clone())),
        Err(error) => return Finding::refused("sign-state", &error),
    };
    if let Err(source) = record.bind(public_key, genesis.hash()) {
        return Finding::refused("sign-state", &SignStateError::Mismatch { path: path.clone(), source });
    }
    let logged = logged.and_then(|records| {
        last_logged(&records, address, &genesis.signing_context()).map_err(|error: CoreError| error.to_string())
    });
    match logged {
        Ok(logged) => judge(&record, logged, stored.map(|stored| stored.head)),
        Err(reason) => {
            let fix = "move the log away and start again: the validator then signs nothing more at the height of its sign state";
            Finding::problem("log", reason, fix)
        }
    }
}

/// The records of a log that a node may be writing to; none where there is no log.
fn records(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(ConsensusLog::LOG_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
        Ok(_) => {}
    }
    let decoded = frames::decode(&bytes).map(|(records, _)| records);
    decoded.map_err(|damage| format!("{} is damaged at byte {}: {}", path.display(), damage.offset, damage.reason))
}

/// What the sign state remembers must not be older than what the log and the chain show.
fn judge(record: &SignStateRecord, logged: Option<SignState>, head: Option<u64>) -> Finding {
    let place = |state: SignState| (state.height, state.round, state.step);
    let told = match record.last {
        Some(last) => format!("belongs to the key and the chain; signed last at height {}", last.height),
        None => "belongs to the key, which has signed nothing".to_owned(),
    };
    let fix = "see that no other node has this key, and never restore a sign state from a copy; the validator listens to \
               its peers first when it starts";
    if let Some(logged) = logged.filter(|logged| record.last.is_none_or(|last| place(last) < place(*logged))) {
        let text = format!(
            "{told}, but the consensus log has a later signature, at height {}: it may be an old copy",
            logged.height
        );
        return Finding::warning("sign-state", text, fix);
    }
    let last = record.last.map_or(0, |last| last.height.as_u64());
    match head {
        Some(head) if last < head => {
            let text =
                format!("{told}, while the chain is at block {head}: the validator was away, or this is an old copy");
            Finding::warning("sign-state", text, fix)
        }
        _ => Finding::ok("sign-state", told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;
    use alloy_primitives::B256;
    use heddle_consensus::SignStep;
    use heddle_primitives::{Height, Round};

    fn signed(height: u64, round: u32) -> SignState {
        SignState { height: Height::new(height), round: Round::new(round), step: SignStep::Prevote, digest: B256::ZERO }
    }

    #[test]
    fn a_sign_state_older_than_the_log_or_the_chain_is_suspicious() {
        let table = [
            ("fresh", None, None, None, Level::Ok),
            ("fresh, on a new chain", None, None, Some(0), Level::Ok),
            ("at the height being decided", Some(signed(11, 0)), Some(signed(11, 0)), Some(10), Level::Ok),
            ("the log is emptied after each block", Some(signed(10, 0)), None, Some(10), Level::Ok),
            ("behind the log by a round", Some(signed(11, 0)), Some(signed(11, 1)), Some(10), Level::Warning),
            ("behind the log, and empty", None, Some(signed(1, 0)), Some(0), Level::Warning),
            ("behind the chain", Some(signed(5, 0)), None, Some(10), Level::Warning),
            ("never signed on a long chain", None, None, Some(10), Level::Warning),
        ];
        for (name, last, logged, head, level) in table {
            let record = SignStateRecord { last, ..SignStateRecord::fresh([7; 32]) };
            let finding = judge(&record, logged, head);
            assert_eq!(finding.level, level, "{name}: {finding:?}");
        }
    }
}
