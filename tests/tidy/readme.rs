//! What the papers say must be there: commands and their flags, files and pictures.

use std::collections::HashMap;
use std::process::Command;

use super::source::{read, root};

/// The papers whose commands are held against the program.
const PAPERS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "models/default/MODEL_CARD.md"];

#[test]
fn commands_in_the_papers_are_real() {
    let mut program = Program::default();
    for paper in PAPERS {
        for command in commands(&read(paper)) {
            let complaint = program.complaint(&command);
            assert!(
                complaint.is_none(),
                "{paper}: {}: {}",
                command.join(" "),
                complaint.unwrap_or_default()
            );
        }
    }
}

#[test]
fn the_readme_shows_commands() {
    assert!(commands(&read("README.md")).len() >= 5);
}

#[test]
fn an_unreal_command_is_noticed() {
    let paper = "```sh\nsightword serch dog\n$ cargo run --release -- search dog --loudly | less\n```\n\
                 sightword nothing\n```\nsightword search 'a -b' -l0 # --no\n```\n";
    let commands = commands(paper);
    assert_eq!(commands[0], ["serch", "dog"]);
    assert_eq!(commands[1], ["search", "dog", "--loudly"]);
    assert_eq!(commands[2], ["search", "a -b", "-l0"]);
    assert_eq!(commands.len(), 3);
    let mut program = Program::default();
    assert!(program.complaint(&commands[0]).is_some_and(|text| text.contains("serch")));
    assert!(program.complaint(&commands[1]).is_some_and(|text| text.contains("--loudly")));
    assert_eq!(program.complaint(&commands[2]), None);
}

#[test]
fn links_in_the_papers_lead_somewhere() {
    for paper in PAPERS {
        let folder = root().join(paper).parent().map(ToOwned::to_owned).unwrap_or_default();
        for link in links(&read(paper)) {
            assert!(folder.join(&link).exists(), "{paper}: there is no {link}");
        }
    }
}

#[test]
fn links_are_found_in_a_paper() {
    let paper = "[a](docs/a.md#part) ![b](b.png) [c](https://example.org) [d](#here)";
    assert_eq!(links(paper), ["docs/a.md", "b.png"]);
}

/// What is written after the program's name in the paper's code blocks, word by word.
fn commands(paper: &str) -> Vec<Vec<String>> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in paper.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
            continue;
        }
        let line = line.trim_start().trim_start_matches("$ ");
        let starts = |name: &str| line.strip_prefix(name).map(words);
        if !inside {
            continue;
        }
        if let Some(words) = starts("sightword ") {
            found.push(words);
        } else if let Some(words) = starts("cargo run ") {
            let ours = words.iter().skip_while(|word| *word != "--").skip(1);
            found.push(ours.cloned().collect());
        }
    }
    found
}

/// Splits a line as a shell does, up to the first pipe, redirection, comment or next command.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => words.last_mut().into_iter().for_each(|word| word.push(c)),
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '>' | ';' | '#' | '&') => break,
            (None, ' ') => words.push(String::new()),
            (None, _) => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn links(paper: &str) -> Vec<String> {
    let targets = paper.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = targets.map(|(target, _)| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains("://")).map(str::to_owned).collect()
}

/// The binary's own account of its verbs and flags, asked once a verb.
#[derive(Default)]
struct Program {
    help: HashMap<String, Option<String>>,
}

impl Program {
    /// What is wrong with the command, if anything.
    fn complaint(&mut self, command: &[String]) -> Option<String> {
        let Some(verb) = command.first() else { return Some("no verb".to_owned()) };
        if verb.starts_with('-') {
            return self.unknown_flag("", command);
        }
        if self.help(verb).is_none() {
            return Some(format!("there is no verb '{verb}'"));
        }
        self.unknown_flag(verb, &command[1..])
    }

    fn unknown_flag(&mut self, verb: &str, words: &[String]) -> Option<String> {
        let help = self.help(verb)?;
        let known = |flag: &str| {
            help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == flag)
        };
        for word in words.iter().take_while(|word| *word != "--") {
            let unknown = match (word.strip_prefix("--"), word.strip_prefix('-')) {
                (Some(_), _) => {
                    word.split('=').next().filter(|flag| !known(flag)).map(str::to_owned)
                }
                (None, Some(letters)) => {
                    letters.chars().map(|letter| format!("-{letter}")).find(|flag| !known(flag))
                }
                (None, None) => None,
            };
            if let Some(flag) = unknown {
                return Some(format!("'{verb}' has no flag {flag}"));
            }
        }
        None
    }

    /// The help of a verb, of the program itself where the verb is empty; none where there is no such verb.
    fn help(&mut self, verb: &str) -> Option<String> {
        let ask = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sightword"));
            command.args(Some(verb).filter(|verb| !verb.is_empty())).arg("--help");
            let answer = command.output().expect("the binary of this package can be run");
            answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
        };
        self.help.entry(verb.to_owned()).or_insert_with(ask).clone()
    }
}
