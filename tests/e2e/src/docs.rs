//! The pages of the book in `docs/`: what they link to, and the commands that they show.
//!
//! A block of commands is fenced as ```` ```console ````. Of it, the lines that begin with `$ ` are run, with the lines that
//! a backslash or a here-document makes part of them; the rest is output. A word after `console` says more:
//! `background` starts a command and leaves it running until the page's end, `docker` and `kubernetes` are for machines
//! that have the tool.

mod markdown;
mod run;

pub use markdown::{Block, Kind, Page};
pub use run::Shell;

use std::path::{Path, PathBuf};

/// The root of the repository.
///
/// # Panics
/// Never: this crate is two directories below it.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two directories above").to_owned()
}

/// Every page of the book, sorted by name; the table of contents is one.
///
/// # Panics
/// When the book cannot be read.
pub fn pages() -> Vec<Page> {
    let entries = std::fs::read_dir(repository().join("docs/src")).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::from_iter(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    files.sort();
    files.iter().map(|file| Page::read(file)).collect()
}
