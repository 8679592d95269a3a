//! docs/planning.md says what the program says: behind every `<!-- case: NAME; COMMAND; ... -->` comes the description of
//! that planner case, and what the commands print for it.
//!
//! README.md shows commands in a folder of the tests, with what they print.
//!
//! `BLESS=1 cargo test -p bowline --test cli planning` rewrites what comes behind; review it as a diff.

use crate::harness::Bench;
use std::path::{Path, PathBuf};
use std::process::Command;
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

const EXAMPLE: &str = "<!-- example: ";

#[test]
fn the_readme_shows_what_the_program_prints() {
    let page = root().join("README.md");
    let found = fs::read_to_string(&page).expect("read the page");
    let (before, rest) = found.split_once(EXAMPLE).expect("an example");
    let (folder, rest) = rest.split_once(" -->\n```console\n").expect("a block of commands");
    let (block, after) = rest.split_once("\n```\n").expect("the block's end");
    let bench = Bench::new("");
    copy(&root().join(folder), bench.scratch.path());
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
    let shown: String =
        commands.map(|command| format!("$ {command}\n{}", run_in_shell(&bench, command))).collect();
    let wanted = format!("{before}{EXAMPLE}{folder} -->\n```console\n{}\n```\n{after}", shown.trim_end());
    if env::var_os("BLESS").is_some() {
        fs::write(&page, wanted).expect("write the page");
    } else {
        assert!(found == wanted, "README.md is out of date; BLESS=1 accepts:\n{shown}");
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("list the folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("make a folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copy a file");
        }
    }
}

/// What a person sees of a command line, errors included.
fn run_in_shell(bench: &Bench, command: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_bowline")).parent().expect("its folder");
    let path = format!("{}:{}", binary.display(), env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .env("PATH", path)
        .current_dir(bench.scratch.path())
        .output()
        .expect("run a shell");
    String::from_utf8(output.stdout).expect("text")
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
