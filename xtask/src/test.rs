//! `cargo xtask test`: every step in order, the first that fails ends the run.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::host::{self, Host};
use crate::workspace::Workspace;
use crate::{bench, install, tidy};

/// What to do about peers (HAProxy, etcd, ...) that are not installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    Missing,
    Nothing,
}

/// A file that a test which cannot run here appends its reason to: a passing test's output is not shown.
const SKIPS: &str = "BOWLINE_TEST_SKIPS";

/// Counts by the runners' own closing lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

struct Run {
    workspace: Workspace,
    started: Instant,
    step: Instant,
    mark: String,
    skips: PathBuf,
    count: Count,
}

pub(crate) fn run(install: Install) -> Result<()> {
    let workspace = Workspace::load()?;
    let skips = workspace.target.join("xtask-skips");
    std::fs::create_dir_all(&workspace.target).context("make the target folder")?;
    std::fs::write(&skips, "").with_context(|| format!("write {}", skips.display()))?;
    let now = Instant::now();
    let mark = format!(
        "{}-{:?}",
        std::process::id(),
        std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
    );
    let mut run = Run { workspace, started: now, step: now, mark, skips, count: Count::default() };
    match install {
        Install::Missing => run.step("install missing peers", |_| install::missing())?,
        Install::Nothing => println!("SKIPPED: installing peers: --no-install"),
    }
    let before = Host::look();
    run.step("cargo fmt --check", |run| run.cargo(&["fmt", "--all", "--check"]))?;
    run.step("clippy", |run| {
        run.cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
    })?;
    run.step("build", |run| run.cargo(&["build", "--quiet", "--workspace", "--examples", "--bins"]))?;
    run.step("tidy", |run| tidy::check(&run.workspace))?;
    run.step("tests", Run::tests)?;
    run.step("doc tests", |run| run.counted(&["test", "--quiet", "--workspace", "--doc"]))?;
    run.step("bench --smoke", |run| bench::run_in(&run.workspace, &bench::Options::smoke()))?;
    run.step("host left as found", |run| run.host(&before))?;
    run.close()
}

impl Run {
    fn step(&mut self, name: &str, body: impl FnOnce(&mut Run) -> Result<()>) -> Result<()> {
        println!("[{:>6.1}s] {name}", self.started.elapsed().as_secs_f64());
        self.step = Instant::now();
        let outcome = body(self).with_context(|| format!("step `{name}` failed"));
        let word = if outcome.is_ok() { "done" } else { "FAILED" };
        println!(
            "[{:>6.1}s] {name}: {word} in {:.1}s",
            self.started.elapsed().as_secs_f64(),
            self.step.elapsed().as_secs_f64()
        );
        outcome
    }

    /// cargo with what every process of the run inherits.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut cargo = command::cargo(&self.workspace.root);
        cargo.args(arguments).env(host::MARK, &self.mark).env(SKIPS, &self.skips);
        cargo
    }

    fn cargo(&mut self, arguments: &[&str]) -> Result<()> {
        command::run(&mut self.command(arguments))
    }

    fn tests(&mut self) -> Result<()> {
        if command::works("cargo-nextest", &["nextest", "--version"]) {
            return self.counted(&["nextest", "run", "--workspace", "--no-tests", "fail"]);
        }
        println!("cargo-nextest is not installed: running with `cargo test`");
        self.counted(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
    }

    fn counted(&mut self, arguments: &[&str]) -> Result<()> {
        let (good, lines) = command::tee(&mut self.command(arguments))?;
        for line in &lines {
            self.count.add(line);
        }
        if !good {
            bail!("`cargo {}` failed; its output is above", arguments.join(" "));
        }
        Ok(())
    }

    fn host(&mut self, before: &Host) -> Result<()> {
        // What the run's last processes leave is gone a moment after them: a namespace is taken down by the kernel later.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let mut problems = before.differences(&Host::look());
            problems.extend(host::left_over(&self.mark));
            if problems.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the tests changed the host:\n  {}", problems.join("\n  "));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn close(self) -> Result<()> {
        let skips = std::fs::read_to_string(&self.skips).unwrap_or_default();
        let mut reasons: Vec<&str> = skips.lines().filter(|line| !line.is_empty()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            println!("SKIPPED: {reason}");
        }
        println!("[{:>6.1}s] all steps done", self.started.elapsed().as_secs_f64());
        if self.count.passed == 0 {
            bail!("no test ran");
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.count.passed, self.count.failed, self.count.skipped
        );
        Ok(())
    }
}

impl Count {
    /// Adds what a closing line says, nextest's (`Summary [ 1.2s] 5 tests run: 5 passed, 1 skipped`) or the built-in
    /// runner's (`test result: ok. 5 passed; 0 failed; 1 ignored; ...`).
    fn add(&mut self, line: &str) {
        let line = without_colours(line);
        let text = line.trim();
        let counted = if text.starts_with("Summary [") {
            text.split_once("run:").map(|(_, counts)| counts.to_owned())
        } else {
            text.strip_prefix("test result:")
                .and_then(|rest| rest.split_once(". "))
                .map(|(_, counts)| counts.to_owned())
        };
        for part in counted.unwrap_or_default().split([',', ';']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed" | "timed" | "exec") => self.failed += number,
                Some("skipped" | "ignored") => self.skipped += number,
                Some(_) | None => {}
            }
        }
    }
}

fn without_colours(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
