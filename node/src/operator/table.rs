//! Nodes as the rows of a table that fits the terminal.

use super::words::{bytes, printable, span};
use super::{Facts, Finding, Level, Node};
use heddle_rpc::ConsensusStep;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Characters in a line.
    pub width: usize,
    /// Whether to colour what is wrong.
    pub colours: bool,
}

/// A column: its title, what it shows, and what it gives up its place for.
struct Column {
    title: &'static str,
    /// Columns with a higher number go first when the line is too narrow.
    rank: u8,
    is_number: bool,
    cell: fn(&Facts) -> String,
}

/// In the order in which they stand, after the node's name.
const COLUMNS: &[Column] = &[
    Column { title: "HEIGHT", rank: 0, is_number: true, cell: |facts| facts.head().to_string() },
    Column { title: "AGE", rank: 1, is_number: true, cell: age },
    Column { title: "CONSENSUS", rank: 2, is_number: false, cell: consensus },
    Column { title: "PEERS", rank: 1, is_number: true, cell: |facts| facts.peers().to_string() },
    Column { title: "LAG", rank: 1, is_number: true, cell: |facts| facts.status.node.lag.to_string() },
    Column { title: "POOL", rank: 3, is_number: true, cell: pool },
    Column { title: "TX/S", rank: 3, is_number: true, cell: |facts| rate(facts, facts.status.transactions_per_second) },
    Column { title: "MGAS/S", rank: 4, is_number: true, cell: |facts| rate(facts, mgas(facts)) },
    Column { title: "ROLE", rank: 4, is_number: false, cell: role },
    Column {
        title: "DISK",
        rank: 5,
        is_number: true,
        cell: |facts| facts.status.node.free_bytes.map_or_else(dash, |free| bytes(free.to())),
    },
    Column {
        title: "UP",
        rank: 5,
        is_number: true,
        cell: |facts| span(std::time::Duration::from_secs(facts.status.node.uptime.to())),
    },
    Column { title: "VERSION", rank: 6, is_number: false, cell: version },
];

/// Longest name of a node that is shown whole.
const NAME_MAX: usize = 40;
const GAP: &str = "  ";

/// The table's lines, and under it those of the findings about the nodes together.
pub fn table(nodes: &[Node], findings: &[Finding], look: Look) -> Vec<String> {
    let columns = fitting(nodes, look.width);
    let name_width = name_width(nodes);
    let widths = Vec::from_iter(columns.iter().map(|column| column.width(nodes)));
    let titles = columns.iter().map(|column| column.title.to_owned());
    let mut lines = vec![row(name_width, "NODE", titles, &columns, &widths)];
    for node in nodes {
        let name = shortened(&node.name, name_width);
        let line = match &node.answer {
            Ok(facts) => row(name_width, &name, columns.iter().map(|column| (column.cell)(facts)), &columns, &widths),
            Err(failure) => format!("{name:<name_width$}{GAP}{}: {}", failure.text, failure.fix),
        };
        lines.push(paint(line, level(node), look));
    }
    for finding in findings {
        lines.extend(finding.lines().map(|line| paint(line, finding.level, look)));
    }
    lines
}

impl Column {
    fn width(&self, nodes: &[Node]) -> usize {
        let cells =
            nodes.iter().filter_map(|node| node.answer.as_ref().ok()).map(|facts| (self.cell)(facts).chars().count());
        cells.chain([self.title.len()]).max().unwrap_or_default()
    }
}

/// The columns that stay when the line has no more characters than this; the height always does.
fn fitting(nodes: &[Node], width: usize) -> Vec<&'static Column> {
    let mut columns = Vec::from_iter(COLUMNS);
    let needed = |columns: &[&Column]| {
        name_width(nodes) + columns.iter().map(|column| GAP.len() + column.width(nodes)).sum::<usize>()
    };
    while needed(&columns) > width {
        let Some(worst) = columns.iter().map(|column| column.rank).max().filter(|rank| *rank > 0) else { break };
        columns.retain(|column| column.rank < worst);
    }
    columns
}

fn name_width(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or_default().clamp("NODE".len(), NAME_MAX)
}

fn shortened(name: &str, width: usize) -> String {
    match name.chars().count() > width {
        true => name.chars().take(width.saturating_sub(1)).chain(['~']).collect(),
        false => name.to_owned(),
    }
}

fn row(
    name_width: usize,
    name: &str,
    cells: impl Iterator<Item = String>,
    columns: &[&Column],
    widths: &[usize],
) -> String {
    let mut line = format!("{name:<name_width$}");
    for ((cell, column), width) in cells.zip(columns).zip(widths) {
        line.push_str(GAP);
        line.push_str(&if column.is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
    }
    line.truncate(line.trim_end().len());
    line
}

fn level(node: &Node) -> Level {
    match &node.answer {
        Err(_) => Level::Problem,
        Ok(facts) if facts.stalled_for().is_some() => Level::Warning,
        Ok(_) => Level::Ok,
    }
}

/// The one place that all lines go through: what nodes say is not to be trusted with the terminal.
fn paint(line: String, level: Level, look: Look) -> String {
    let line = printable(&line);
    let colour = match level {
        Level::Problem => 31,
        Level::Warning => 33,
        Level::Ok | Level::Unknown => return line,
    };
    if look.colours { format!("\x1b[{colour}m{line}\x1b[0m") } else { line }
}

fn age(facts: &Facts) -> String {
    if facts.is_fetching_state() { dash() } else { span(facts.head_age()) }
}

fn dash() -> String {
    "-".to_owned()
}

/// Height, round and step; while a state or blocks are fetched, how far that is.
fn consensus(facts: &Facts) -> String {
    if let Some(sync) = &facts.status.sync {
        return match sync.state {
            Some(parts) => format!("state {}%", parts / 10_000),
            None => format!("sync to {}", sync.highest),
        };
    }
    let Some(position) = &facts.status.consensus else { return dash() };
    let step = match position.step {
        ConsensusStep::CatchUp => "catch-up",
        ConsensusStep::NewHeight => "new-height",
        ConsensusStep::Propose => "propose",
        ConsensusStep::Prevote => "prevote",
        ConsensusStep::Precommit => "precommit",
        ConsensusStep::Commit => "commit",
    };
    format!("{}/{} {step}", position.height, position.round)
}

/// Pending transactions, and those that wait for others.
fn pool(facts: &Facts) -> String {
    let pool = facts.status.mempool;
    if pool.queued.is_zero() { pool.pending.to_string() } else { format!("{}+{}", pool.pending, pool.queued) }
}

fn mgas(facts: &Facts) -> Option<f64> {
    Some(facts.status.gas_per_second?.to::<u64>() as f64 / 1e6)
}

/// What the last blocks held says nothing of now when no more come.
fn rate(facts: &Facts, value: Option<f64>) -> String {
    let is_current = facts.stalled_for().is_none() && !facts.is_behind();
    value.filter(|_| is_current).map_or_else(dash, |value| format!("{value:.1}"))
}

fn role(facts: &Facts) -> String {
    let own = |validators: &[heddle_rpc::ValidatorReport]| validators.iter().any(|validator| validator.is_own);
    match (&facts.status.node.validator, &facts.consensus) {
        (Some(_), Some(state)) if own(&state.validators) => "validator",
        (Some(_), _) => "candidate",
        (None, _) => "full",
    }
    .to_owned()
}

/// `heddle/v0.1.0/linux-x86_64` without what all have in common.
fn version(facts: &Facts) -> String {
    let version = facts.status.client_version.split('/').nth(1).unwrap_or(&facts.status.client_version);
    version.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::fixture::{answering, facts, silent, stalled};
    use super::*;

    const WIDE: Look = Look { width: 200, colours: false };

    #[test]
    fn a_node_is_a_row_under_its_titles() {
        let lines = table(&[answering("http://a", facts(1_234)), silent("http://b")], &[], WIDE);
        let expected = [
            "NODE      HEIGHT  AGE  CONSENSUS       PEERS  LAG  POOL  TX/S  MGAS/S  ROLE     DISK       UP  VERSION",
            "http://a    1234  1 s  1235/0 prevote      3    0     0  12.5     1.5  full  5.0 GiB  60 min 0 s  v0.1.0",
            "http://b  nobody listens there: start the node",
        ];
        let squeezed = |line: &str| Vec::from_iter(line.split_whitespace().map(str::to_owned)).join(" ");
        assert_eq!(Vec::from_iter(lines.iter().map(|line| squeezed(line))), expected.map(squeezed));
        let column = |line: &str, text: &str| line.find(text).unwrap() + text.len();
        assert_eq!(column(&lines[0], "HEIGHT"), column(&lines[1], "1234"), "numbers stand to the right");
        assert_eq!(lines[0].find("CONSENSUS"), lines[1].find("1235/0"), "text to the left");
    }

    #[test]
    fn a_narrow_terminal_loses_the_least_important_columns() {
        let nodes = [answering("http://127.0.0.1:8545", facts(1_234))];
        for width in [120, 100, 80, 60, 40] {
            let lines = table(&nodes, &[], Look { width, colours: false });
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
            assert!(lines[0].contains("HEIGHT"));
        }
        assert!(!table(&nodes, &[], Look { width: 80, colours: false })[0].contains("VERSION"));
    }

    #[test]
    fn only_what_is_wrong_is_coloured_and_only_when_asked() {
        let nodes = [answering("a", facts(9)), answering("b", stalled(9)), silent("c")];
        let findings = [Finding::problem("fork", "FORK", "stop")];
        let coloured = table(&nodes, &findings, Look { width: 200, colours: true });
        let begins = Vec::from_iter(coloured.iter().map(|line| line.split('m').next().unwrap().to_owned()));
        let codes = Vec::from_iter(begins.iter().map(|begin| begin.strip_prefix("\x1b[")));
        assert_eq!(codes[2..], [Some("33"), Some("31"), Some("31"), Some("31")]);
        assert!(codes[..2].iter().all(Option::is_none));
        assert!(table(&nodes, &findings, WIDE).iter().all(|line| !line.contains('\x1b')));
    }

    #[test]
    fn a_stalled_chain_has_no_rates_and_a_syncing_node_says_how_far() {
        let lines = table(&[answering("a", stalled(9))], &[], WIDE);
        assert!(!lines[1].contains("12.5"), "{lines:?}");
        let mut syncing = facts(9);
        let progress = heddle_rpc::SyncProgress { starting: 1, current: 9, highest: 800, state: None };
        syncing.status.sync = Some(progress);
        assert_eq!(consensus(&syncing), "sync to 800");
        assert_eq!(age(&syncing), "1 s");
        syncing.status.sync = Some(heddle_rpc::SyncProgress { state: Some(250_000), ..progress });
        assert_eq!(consensus(&syncing), "state 25%");
        assert_eq!(age(&syncing), "-", "not that of genesis");
    }

    #[test]
    fn a_syncing_node_is_no_stalled_chain() {
        let mut syncing = stalled(9);
        assert_eq!(level(&answering("a", syncing.clone())), Level::Warning);
        syncing.status.sync = Some(heddle_rpc::SyncProgress { starting: 1, current: 9, highest: 800, state: None });
        assert_eq!(level(&answering("a", syncing)), Level::Ok);
    }

    #[test]
    fn what_nodes_say_cannot_control_the_terminal() {
        let mut hostile = facts(9);
        hostile.status.client_version = "heddle/v1\x1b[2J\u{9b}31m/x".to_owned();
        let mut failing = silent("b");
        failing.answer.as_mut().unwrap_err().text = "\x1b]0;title\x07\r\nb".to_owned();
        let findings = [Finding::problem("fork", "\x1b[2J", "\n\x08")];
        let lines = table(&[answering("a", hostile), failing], &findings, WIDE);
        assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = "http://".to_owned() + &"x".repeat(60);
        let lines = table(&[answering(&long, facts(9))], &[], WIDE);
        assert!(lines[1].starts_with(&format!("{}~  ", &long[..NAME_MAX - 1])), "{lines:?}");
    }
}
