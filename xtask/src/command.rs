//! Running other programs: what was run is part of every error.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// A cargo command in the workspace's root, free of the variables that cargo sets for this program: build scripts that
/// watch their environment would otherwise run again for each way of being called.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_CRATE_NAME"
        {
            command.env_remove(&name);
        }
    }
    command.current_dir(root);
    command
}

/// Runs to the end with the terminal as output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns standard output; standard error is part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("start `{}`", shown(command)))?;
    if !done.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            shown(command),
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    String::from_utf8(done.stdout).with_context(|| format!("output of `{}` as UTF-8", shown(command)))
}

/// Runs to the end, shows both outputs as they come and returns them together, by line.
pub(crate) fn tee(command: &mut Command) -> Result<(bool, Vec<String>)> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start `{}`", shown(command)))?;
    let stdout = child.stdout.take().context("standard output of a child")?;
    let stderr = child.stderr.take().context("standard error of a child")?;
    let errors = thread::spawn(move || copy_lines(stderr, &mut std::io::stderr()));
    let mut lines = copy_lines(stdout, &mut std::io::stdout());
    let status = child.wait().with_context(|| format!("wait for `{}`", shown(command)))?;
    lines.extend(errors.join().unwrap_or_default());
    Ok((status.success(), lines))
}

/// True when `program` can be started with `arguments` and succeeds.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The effective user is root.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("Uid:"))?;
            line.split_whitespace().nth(2).map(|effective| effective == "0")
        })
        .unwrap_or(false)
}

fn copy_lines(from: impl Read, to: &mut impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line).into_owned();
        // A closed terminal must not stop the run that it only watches.
        let _ = writeln!(to, "{text}");
        lines.push(text);
    }
    lines
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
