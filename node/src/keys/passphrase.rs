//! Where a passphrase comes from: a file, or the terminal.

use super::file::{self, FileError};
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest passphrase, in bytes.
const BYTES_MAX: usize = 4096;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody can be asked.
    #[error("cannot ask for the passphrase on a terminal ({source}): name a file with {option}")]
    Terminal {
        /// What the system said.
        source: io::Error,
        /// The option that names the file.
        option: &'static str,
    },
    /// Nothing was given.
    #[error("the passphrase is empty")]
    Empty,
    /// Two different ones were typed.
    #[error("the two passphrases differ")]
    Differ,
}

/// A passphrase's source.
#[derive(Clone, Copy)]
pub struct PassphraseSource<'a> {
    /// A file that holds it, under the rules of key files; `None` asks on the terminal.
    pub file: Option<&'a Path>,
    /// The option that names the file.
    pub option: &'static str,
}

impl PassphraseSource<'_> {
    /// The passphrase of what is encrypted already.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn existing(&self, key_file: &Path) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
        match self.file {
            Some(file) => read(file),
            None => self.ask(&format!("Passphrase of {}: ", key_file.display())),
        }
    }

    /// A new passphrase; it is asked for twice.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn chosen(&self, key_file: &Path) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
        if let Some(file) = self.file {
            return read(file);
        }
        let first = self.ask(&format!("New passphrase for {}: ", key_file.display()))?;
        match first == self.ask("The same again: ")? {
            true => Ok(first),
            false => Err(PassphraseError::Differ),
        }
    }

    fn ask(&self, prompt: &str) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
        let typed = rpassword::prompt_password(prompt);
        let typed = typed.map_err(|source| PassphraseError::Terminal { source, option: self.option })?;
        non_empty(Zeroizing::new(typed.into_bytes()))
    }
}

/// A line end at the end of the file is an editor's, not the passphrase's.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let mut passphrase = file::read(file, BYTES_MAX)?;
    if passphrase.ends_with(b"\n") {
        passphrase.pop();
    }
    if passphrase.ends_with(b"\r") {
        passphrase.pop();
    }
    non_empty(passphrase)
}

fn non_empty(passphrase: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    match passphrase.is_empty() {
        true => Err(PassphraseError::Empty),
        false => Ok(passphrase),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_content_without_the_line_end() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        for (name, content, expected) in [
            ("plain", "two words", Some("two words")),
            ("line", "two words\n", Some("two words")),
            ("dos", "two words\r\n", Some("two words")),
            ("spaces", " two words \n\n", Some(" two words \n")),
            ("empty", "", None),
            ("only a line end", "\n", None),
        ] {
            file::create(&at(name), content.as_bytes()).unwrap();
            let source = PassphraseSource { file: Some(&at(name)), option: "--passphrase-file" };
            for passphrase in [source.existing(Path::new("key")), source.chosen(Path::new("key"))] {
                match expected {
                    Some(expected) => assert_eq!(passphrase.unwrap().as_slice(), expected.as_bytes(), "{name}"),
                    None => assert!(matches!(passphrase, Err(PassphraseError::Empty)), "{name}"),
                }
            }
        }
        let missing = PassphraseSource { file: Some(&at("missing")), option: "--passphrase-file" };
        assert!(matches!(missing.existing(Path::new("key")), Err(PassphraseError::File(_))));
    }
}
