//! What mends the failures that an operator meets first, where the error itself does not know: it says what is wrong, and
//! only a command line has flags.

use super::Incomplete;
use crate::keys::KeyFileError;
use heddle_chain::ChainError;
use heddle_primitives::GenesisError;
use heddle_storage::StorageError;
use std::error::Error;
use std::io::{self, ErrorKind};

/// The error with its fix, if there is one to add.
pub fn with_fix(error: Box<dyn Error>) -> Box<dyn Error> {
    match error.downcast::<Incomplete>() {
        Ok(incomplete) => {
            let Incomplete { cause, result } = *incomplete;
            Incomplete { cause: with_fix(cause), result }.into()
        }
        Err(error) => match fix(error.as_ref()) {
            Some(fix) => format!("{error}: {fix}").into(),
            None => error,
        },
    }
}

/// The fix of the outermost cause that has one.
fn fix(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let own = error.downcast_ref().and_then(of_genesis);
    let own = own.or_else(|| error.downcast_ref().and_then(of_key));
    let own = own.or_else(|| error.downcast_ref().and_then(of_chain));
    let own = own.or_else(|| error.downcast_ref().and_then(of_storage));
    let own = own.or_else(|| error.downcast_ref().and_then(of_system));
    own.or_else(|| fix(error.source()?))
}

fn of_genesis(error: &GenesisError) -> Option<&'static str> {
    match error {
        GenesisError::Read { .. } => Some("name the chain's genesis file with --chain"),
        GenesisError::Json(_) => {
            Some("name the chain's genesis file with --chain, as `heddle genesis create` writes one")
        }
        _ => None,
    }
}

fn of_key(error: &KeyFileError) -> Option<&'static str> {
    match error {
        KeyFileError::File(error) if error.is_absence() => {
            Some("name the key's file, or make a key with `heddle key generate`")
        }
        _ => None,
    }
}

fn of_chain(error: &ChainError) -> Option<&'static str> {
    match error {
        ChainError::GenesisMismatch { .. } => {
            Some("name that chain's file with --chain, or another directory with --datadir")
        }
        // It is shown in its place, and has no cause below it.
        ChainError::Storage(error) => of_storage(error),
        _ => None,
    }
}

fn of_storage(error: &StorageError) -> Option<&'static str> {
    match error {
        StorageError::Locked { .. } => Some("stop that process, or name another directory"),
        _ => None,
    }
}

fn of_system(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free space on that disk, and run it again"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Some("run it as the user that may, or let this one with chown and chmod")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn advised(error: impl Error + 'static) -> String {
        with_fix(Box::new(error)).to_string()
    }

    #[test]
    fn the_cause_below_has_the_fix() {
        let denied = GenesisError::Read { path: "genesis.json".into(), source: ErrorKind::PermissionDenied.into() };
        assert!(advised(denied).ends_with(": name the chain's genesis file with --chain"));
        assert!(
            advised(io::Error::from(ErrorKind::StorageFull)).ends_with("free space on that disk, and run it again")
        );
        let locked = || StorageError::Locked { path: "data".into(), pid: Some(7) };
        assert!(advised(locked()).contains("stop that process"));
        assert!(advised(ChainError::Storage(locked())).contains("stop that process"));
        let incomplete = Incomplete { cause: Box::new(locked()), result: json!({}) };
        assert!(advised(incomplete).contains("stop that process"));
    }

    #[test]
    fn what_has_no_fix_stays() {
        assert_eq!(
            advised(io::Error::from(ErrorKind::UnexpectedEof)),
            io::Error::from(ErrorKind::UnexpectedEof).to_string()
        );
    }
}
