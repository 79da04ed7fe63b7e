//! `heddle man`: manual pages, from the same definitions as the help.

use super::Output;
use clap::{Args, Command, ValueHint};
use clap_mangen::Man;
use serde_json::json;
use std::error::Error;
use std::path::PathBuf;

/// Options of `heddle man`.
#[derive(Args)]
pub struct ManArgs {
    /// Directory to write a page for every command to, such as heddle-node.1 [default: print heddle.1].
    ///
    /// It is created; pages in it are replaced.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
}

/// Runs `heddle man`.
pub fn run(args: &ManArgs) -> Result<Output, Box<dyn Error>> {
    let program = super::program();
    let Some(out) = &args.out else {
        let mut page = Vec::new();
        Man::new(program).render(&mut page)?;
        return Ok(Output::Document(String::from_utf8_lossy(&page).into_owned()));
    };
    let pages = count(&program);
    let written = std::fs::create_dir_all(out).and_then(|()| clap_mangen::generate_to(program, out));
    written.map_err(|error| format!("cannot write manual pages to {}: {error}", out.display()))?;
    tell!("wrote {pages} pages to {}; read one with `man -l {}`", out.display(), out.join("heddle.1").display());
    Ok(Output::Result(json!({ "out": out, "pages": pages })))
}

/// This command and all below it.
fn count(command: &Command) -> usize {
    1 + command.get_subcommands().map(count).sum::<usize>()
}
