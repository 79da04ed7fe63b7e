use super::*;
use crate::cache::CacheSize;
use crate::command::program;
use clap::Arg;
use std::any::TypeId;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;

/// A command with more options than this shows them under headings.
const WITHOUT_HEADINGS_MAX: usize = 12;
/// What numbers of options count: units, or what everyone knows the range of.
const UNITS: [&str; 10] = ["BLOCKS", "COUNT", "COUNTS", "DAYS", "GAS", "ID", "LOGS", "MIB", "PERCENT", "SECONDS"];
/// Numbers whose range is everyone's.
const PLAIN: [&str; 2] = ["NUMBER", "PORT"];

/// Every command of the tree, with its full name.
fn commands() -> Vec<(String, Command)> {
    fn walk(name: String, command: &Command, all: &mut Vec<(String, Command)>) {
        for inner in command.get_subcommands() {
            walk(format!("{name} {}", inner.get_name()), inner, all);
        }
        all.push((name, command.clone()));
    }
    let mut all = Vec::new();
    walk("heddle".to_owned(), &program(), &mut all);
    all
}

/// Every argument of every command, named in full.
fn arguments() -> Vec<(String, Arg)> {
    let of = |(name, command): (String, Command)| {
        Vec::from_iter(
            command.get_arguments().map(|argument| (format!("{name} {}", argument.get_id()), argument.clone())),
        )
    };
    commands().into_iter().flat_map(of).collect()
}

/// Without the last point of a first paragraph, which clap leaves out.
fn is_sentence(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|first| !first.is_lowercase() && !first.is_whitespace());
    begins && !text.ends_with(['.', ',', ':', ';', ' '])
}

fn is_number(argument: &Arg) -> bool {
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<NonZeroUsize>(),
        TypeId::of::<CacheSize>(),
    ];
    argument.get_action().takes_values()
        && numbers.iter().any(|number| argument.get_value_parser().type_id() == *number)
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

#[test]
fn every_command_and_argument_is_explained_in_sentences() {
    for (name, command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(is_sentence(&about), "{name}: {about:?}");
        assert!(!command.is_hide_set(), "{name} is hidden");
    }
    for (name, argument) in arguments() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(is_sentence(&help), "{name}: {help:?}");
        assert!(
            help.len() <= 150,
            "{name}: too long for one line: put what is beside the point into a second paragraph"
        );
        let long = argument.get_long_help().map(ToString::to_string);
        assert!(long.is_none_or(|long| long.starts_with(&help) && long.ends_with('.')), "{name}");
        assert!(!argument.is_hide_set(), "{name} is hidden");
    }
}

#[test]
fn many_options_stand_under_headings() {
    for (name, command) in commands() {
        let headings = Vec::from_iter(command.get_arguments().map(Arg::get_help_heading));
        let with = headings.iter().flatten().count();
        assert!(
            headings.len() <= WITHOUT_HEADINGS_MAX || headings.len() - with <= 1,
            "{name} has options without heading"
        );
        let mut order = headings;
        order.dedup();
        assert_eq!(order.len(), BTreeSet::from_iter(&order).len(), "{name}: a heading stands at two places: {order:?}");
    }
}

#[test]
fn every_value_has_a_name_and_every_number_a_unit_and_a_range() {
    for (name, argument) in arguments().into_iter().filter(|(_, argument)| argument.get_action().takes_values()) {
        let values = argument.get_value_names().unwrap_or_default();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        let value = values[0].as_str();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        if is_number(&argument) && !PLAIN.contains(&value) {
            assert!(UNITS.contains(&value), "{name}: the value {value} is none of the units {UNITS:?}");
            assert!(help.contains('[') && help.contains(" to "), "{name}: its range is missing: {help}");
        }
    }
}

#[test]
fn every_option_says_what_it_is_by_default() {
    let is_optional = |argument: &Arg| argument.get_action().takes_values() && !argument.is_required_set();
    for (name, argument) in arguments().into_iter().filter(|(_, argument)| is_optional(argument)) {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let has_default = !argument.get_default_values().is_empty() || help.contains("default: ");
        let is_required_elsewhere = name.starts_with("heddle config show");
        assert!(has_default || is_required_elsewhere, "{name}: {help}");
    }
}
