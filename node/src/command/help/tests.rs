use super::*;
use std::collections::BTreeSet;

fn program() -> Command {
    crate::command::program()
}

#[test]
fn every_command_stands_in_one_group() {
    let names = Vec::from_iter(GROUPS.iter().map(|(_, name)| *name));
    let listed = BTreeSet::from_iter(names.iter().copied());
    assert_eq!(listed.len(), names.len(), "a command is listed twice");
    let program = program();
    assert_eq!(listed, program.get_subcommands().map(Command::get_name).collect());
    let mut headings = Vec::from_iter(GROUPS.iter().map(|(heading, _)| *heading));
    headings.dedup();
    assert_eq!(headings.len(), BTreeSet::from_iter(&headings).len(), "a group stands at two places");
}

#[test]
fn the_help_shows_the_groups() {
    let help = program().render_help().to_string();
    for line in ["Run a chain:", "Data:", "Keys:", "  devnet ", "Options:", "--version"] {
        assert!(help.contains(line), "{line:?} is not in\n{help}");
    }
    assert!(!help.contains("Commands:") && !help.contains('{'), "{help}");
}
