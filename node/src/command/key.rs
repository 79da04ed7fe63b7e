//! `heddle key`: validator keys.

mod install;

use crate::keys::{self, EncryptedKey, KeyFile, PassphraseSource};
use clap::{Args, Subcommand, ValueHint};
use heddle_primitives::{ConsensusKey, Validator};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Make, show, encrypt and import validator keys.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Write a new ed25519 key and its sign state.
    Generate {
        #[command(flatten)]
        out: Out,
    },
    /// Print the public key and the validator address of a key file; needs no passphrase.
    Show {
        /// The file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Encrypt a key file in place by a passphrase.
    ///
    /// Its old content is overwritten; copies made before (backups, snapshots of a file system) stay as they are.
    Encrypt {
        /// The file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Write a key from another place to a key file.
    ///
    /// No sign state is written, since the key may have signed: bring it from there with `heddle sign-state`.
    Import {
        #[command(flatten)]
        out: Out,
        /// The key, as 64 hexadecimal digits or as a key file [default: standard input].
        #[arg(long = "in", value_name = "FILE", value_hint = ValueHint::FilePath)]
        input: Option<PathBuf>,
    },
    /// Copy a node's keys from where a secret store has mounted them to files that the node accepts.
    ///
    /// A store that mounts files for a container, as Kubernetes does, owns them as root and lets a group read them; a node
    /// takes only files of its own user, mode 0600. This copies `node.key` and, if it is there, `validator.key`, and raises
    /// the sign state to that in `sign-state.json`, as `heddle sign-state import` does. It can be repeated, and runs before
    /// every start of a pod. A key file that is there already and holds another key is never replaced.
    Install(install::InstallArgs),
}

/// Where a key is written, and how.
#[derive(Args)]
pub struct Out {
    /// The key file; it must not exist.
    #[arg(long = "out", value_name = "FILE", default_value = "validator.key", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Encrypt it by a passphrase.
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Where a passphrase comes from.
#[derive(Args)]
pub struct PassphraseArgs {
    /// File with the passphrase, mode 0600 [default: it is asked for on the terminal].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    fn source(&self) -> PassphraseSource<'_> {
        PassphraseSource { file: self.passphrase_file.as_deref(), option: "--passphrase-file" }
    }
}

/// Runs `heddle key`.
pub fn run(command: KeyCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        KeyCommand::Generate { out } => {
            let key = out.encrypted(KeyFile::Plain(ConsensusKey::generate()))?;
            keys::create(&out.file, &key)?;
            Ok(describe(&key, &out.file))
        }
        KeyCommand::Show { file } => Ok(describe(&KeyFile::read(&file)?, &file)),
        KeyCommand::Encrypt { file, passphrase } => encrypt(&file, passphrase.source()),
        KeyCommand::Import { out, input } => import(&out, input.as_deref()),
        KeyCommand::Install(args) => install::run(&args),
    }
}

impl Out {
    /// The key as it is to be written.
    fn encrypted(&self, key: KeyFile) -> Result<KeyFile, Box<dyn Error>> {
        match (self.encrypt, &self.passphrase.passphrase_file) {
            (true, _) => Ok(key.encrypt(&self.file, self.passphrase.source())?),
            (false, None) => Ok(key),
            (false, Some(_)) => Err("--passphrase-file needs --encrypt".into()),
        }
    }
}

fn encrypt(file: &Path, passphrase: PassphraseSource<'_>) -> Result<Value, Box<dyn Error>> {
    let key = KeyFile::read(file)?;
    if let KeyFile::Encrypted(_) = key {
        return Err(format!("{} is encrypted already", file.display()).into());
    }
    let key = key.encrypt(file, passphrase)?;
    keys::file::replace(file, key.content().as_bytes())?;
    Ok(describe(&key, file))
}

fn import(out: &Out, input: Option<&Path>) -> Result<Value, Box<dyn Error>> {
    let key = match input {
        Some(file) => KeyFile::read(file)?,
        None => KeyFile::parse(&read_stdin()?, Path::new("standard input"))?,
    };
    let key = out.encrypted(key)?;
    keys::file::create(&out.file, key.content().as_bytes())?;
    tell!(
        "{} has no sign state yet: stop the node that used this key, and bring its sign state with `heddle sign-state export` \
         there and `heddle sign-state import --key {}` here",
        out.file.display(),
        out.file.display()
    );
    Ok(describe(&key, &out.file))
}

/// What stands on standard input; typed without an echo when that is a terminal.
fn read_stdin() -> std::io::Result<Zeroizing<Vec<u8>>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let typed = rpassword::prompt_password("Key, as 64 hexadecimal digits: ")?;
        return Ok(Zeroizing::new(typed.into_bytes()));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(2 * EncryptedKey::FILE_BYTES_MAX));
    // Past the library's own buffer, which nobody wipes.
    let file = std::fs::File::from(stdin.as_fd().try_clone_to_owned()?);
    file.take(EncryptedKey::FILE_BYTES_MAX as u64).read_to_end(&mut content)?;
    Ok(content)
}

fn describe(key: &KeyFile, file: &Path) -> Value {
    let validator = Validator::new(key.public_key(), 1, Default::default());
    json!({
        "file": file,
        "publicKey": format!("0x{}", hex::encode(validator.public_key.as_bytes())),
        "validatorAddress": validator.address,
        "encrypted": matches!(key, KeyFile::Encrypted(_)),
    })
}
