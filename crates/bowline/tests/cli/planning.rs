//! docs/planning.md says what the program says: behind every `<!-- case: NAME; COMMAND; ... -->` comes the description of
//! that planner case, and what the commands print for it.
//!
//! `BLESS=1 cargo test -p bowline --test cli planning` rewrites what comes behind; review it as a diff.

use crate::harness::Bench;
use std::path::{Path, PathBuf};
use std::{env, fs};

const MARK: &str = "<!-- case: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_page_on_planning_shows_what_the_program_prints() {
    let page = root().join("docs/planning.md");
    let found = fs::read_to_string(&page).expect("read the page");
    let (wanted, cases) = rewritten(&found);
    assert!(cases >= 9, "only {cases} cases are shown");
    if env::var_os("BLESS").is_some() {
        fs::write(&page, wanted).expect("write the page");
    } else {
        assert!(found == wanted, "docs/planning.md is out of date; BLESS=1 accepts:\n{wanted}");
    }
}

/// The page with everything that follows from a mark made anew, and the number of marks.
fn rewritten(page: &str) -> (String, usize) {
    let mut lines = page.lines().peekable();
    let (mut text, mut cases) = (String::new(), 0);
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        let Some(mark) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        cases += 1;
        text.push_str(&shown(mark));
        // Blocks with blank lines between them are what was shown before.
        loop {
            while lines.next_if(|line| line.is_empty()).is_some() {}
            if lines.next_if(|line| line.starts_with("```")).is_none() {
                break;
            }
            while lines.next_if(|line| *line != "```").is_some() {}
            assert!(lines.next().is_some(), "a block of {mark} has no end");
        }
        if lines.peek().is_some() {
            text.push('\n');
        }
    }
    (text, cases)
}

/// The blocks for a mark: the description, then each command with its output.
fn shown(mark: &str) -> String {
    let mut parts = mark.split("; ");
    let case = parts.next().expect("a name");
    let file = root().join("crates/bowline-plan/tests/cases").join(case).join("cluster.yaml");
    let description = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let bench = Bench::new(&description);
    let mut text = format!("\n```yaml\n{description}```\n");
    for command in parts {
        let mut words: Vec<&str> = command.split(' ').collect();
        let node = if words.len() > 1 { words.pop() } else { None };
        words.extend(["--config", "cluster.yaml"]);
        words.extend(node.iter().flat_map(|node| ["--node", node]));
        let output = bench.command(&words).output().expect("run bowline");
        let printed = String::from_utf8(output.stdout).expect("text");
        // The table is what a page is for; what lost follows, and is found by running it.
        let (printed, pipe) = match (command, printed.split_once("\nWhat lost for")) {
            ("endpoints", Some((table, _))) => (table.to_owned(), " | sed '/^$/,$d'"),
            _ => (printed, ""),
        };
        text.push_str(&format!("\n```console\n$ bowline {}{pipe}\n{printed}```\n", words.join(" ")));
    }
    text
}
