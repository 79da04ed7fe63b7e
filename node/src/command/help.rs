//! How `heddle --help` reads: the commands in groups, as geth's.

use clap::Command;
use clap::builder::StyledStr;
use std::fmt::Write;

/// Every command under its heading, in the order of the help. A new command has its line here.
const GROUPS: &[(&str, &str)] = &[
    ("Run a chain", "devnet"),
    ("Run a chain", "genesis"),
    ("Run a chain", "init"),
    ("Run a chain", "node"),
    ("Data", "import"),
    ("Data", "export"),
    ("Data", "snapshot"),
    ("Data", "db"),
    ("Keys", "key"),
    ("Keys", "sign-state"),
    ("Network and operators", "status"),
    ("Network and operators", "why"),
    ("Network and operators", "doctor"),
    ("Network and operators", "health"),
    ("Network and operators", "peers"),
    ("Network and operators", "validators"),
    ("Network and operators", "config"),
    ("Measure", "bench"),
    ("Shell", "completions"),
    ("Shell", "man"),
];

/// Gives the program's help its groups; clap itself knows one heading for all commands.
pub fn with_grouped_commands(command: Command) -> Command {
    let template = template(&command);
    command.help_template(template)
}

/// Help names an option's variable, not what it holds here: a manual page is for every machine.
pub fn without_values_of_variables(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_values_of_variables)
}

fn template(command: &Command) -> StyledStr {
    let (header, literal) = (*command.get_styles().get_header(), *command.get_styles().get_literal());
    let width = GROUPS.iter().map(|(_, name)| name.len()).max().unwrap_or_default();
    let mut text = StyledStr::from("{about-with-newline}\n{usage-heading} {usage}\n");
    let mut last = "";
    // Writing to a string cannot fail.
    for (heading, name) in GROUPS {
        if *heading != last {
            let _ = writeln!(text, "\n{header}{heading}:{header:#}");
            last = heading;
        }
        let about = command.find_subcommand(name).and_then(Command::get_about).cloned().unwrap_or_default();
        let _ = writeln!(text, "  {literal}{name}{literal:#}{:fill$}  {}", "", about, fill = width - name.len());
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}\n\n`heddle help COMMAND` says all of a command.\n");
    text
}

#[cfg(test)]
mod tests;
