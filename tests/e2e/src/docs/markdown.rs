//! As much of Markdown as the book uses.

use std::path::Path;

/// One file of the book.
#[derive(Debug)]
pub struct Page {
    /// Its file name, such as `devnet.md`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// How a block's commands are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To their end, one after the other.
    Foreground,
    /// Until the page's end.
    Background,
    /// To their end, where there is Docker with an image of Heddle.
    Docker,
    /// To their end, where there is `kubectl`; never with a cluster.
    Kubernetes,
}

/// The commands of one fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1 on.
    pub line: usize,
    /// How they are run.
    pub kind: Kind,
    /// What the shell is given, in order.
    pub commands: Vec<String>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, text }
    }

    /// The blocks of commands, in order.
    ///
    /// # Panics
    /// When a block has a word after `console` that means nothing, or does not end.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = (1..).zip(self.text.lines());
        while let Some((line, fence)) = lines.next() {
            let Some(info) = fence.trim_start().strip_prefix("```") else { continue };
            let body = Vec::from_iter(lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```"));
            let Some(word) = info.strip_prefix("console") else { continue };
            let kind = match word.trim() {
                "" => Kind::Foreground,
                "background" => Kind::Background,
                "docker" => Kind::Docker,
                "kubernetes" => Kind::Kubernetes,
                other => panic!("{}:{line}: `console {other}` means nothing", self.name),
            };
            blocks.push(Block { line, kind, commands: commands(&body) });
        }
        blocks
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_fenced = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            is_fenced ^= is_fence;
            !is_fenced && !is_fence
        })
    }

    /// The targets of all links and pictures.
    pub fn links(&self) -> Vec<&str> {
        let targets = |line| str::split(line, "](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        self.prose().flat_map(targets).collect()
    }

    /// What links to this page may name after `#`: mdBook makes it of each heading.
    pub fn anchors(&self) -> Vec<String> {
        let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_owned());
        self.prose().filter_map(heading).map(|heading| anchor(&heading)).collect()
    }
}

fn anchor(heading: &str) -> String {
    let letter = |letter: char| match letter {
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ if letter.is_whitespace() => Some('-'),
        _ => None,
    };
    heading.chars().filter_map(letter).collect()
}

fn commands(body: &[&str]) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = body.iter();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else { continue };
        let mut command = first.to_owned();
        let mut append = |line: &str| {
            command.push('\n');
            command.push_str(line);
        };
        if let Some((_, word)) = first.split_once("<<") {
            let end = word.trim_matches(['\'', '"', ' ']).to_owned();
            for line in lines.by_ref() {
                append(line);
                if *line == end {
                    break;
                }
            }
        }
        while command.ends_with('\\') {
            let Some(line) = lines.next() else { break };
            command.push('\n');
            command.push_str(line);
        }
        commands.push(command);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A page: of `code`\n\n[there](other.md#part) ![picture](x.svg)\n\n```console\n$ one \\\n  two\noutput\n\
        $ cat <<'END'\n$ text\nEND\n```\n\n```text\n$ not run [no](link.md)\n```\n\n```console background\n$ three\n```\n## Its part\n";

    fn page() -> Page {
        Page { name: "page.md".into(), text: TEXT.into() }
    }

    #[test]
    fn blocks_hold_commands() {
        let block = |line, kind, commands: &[&str]| Block {
            line,
            kind,
            commands: commands.iter().map(|command| (*command).to_owned()).collect(),
        };
        let expected = [
            block(5, Kind::Foreground, &["one \\\n  two", "cat <<'END'\n$ text\nEND"]),
            block(18, Kind::Background, &["three"]),
        ];
        assert_eq!(page().blocks(), expected);
    }

    #[test]
    fn links_and_anchors_stand_outside_of_blocks() {
        assert_eq!(page().links(), ["other.md#part", "x.svg"]);
        assert_eq!(page().anchors(), ["a-page-of-code", "its-part"]);
    }
}
