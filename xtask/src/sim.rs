//! `cargo xtask sim`: the simulator, built to be quick and to survive what it finds.

use anyhow::Result;

use crate::command;
use crate::workspace::Workspace;

/// Hands everything on to the simulator.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut cargo = command::cargo(&workspace.root);
    cargo.args(["run", "--quiet", "--profile", "sim", "--package", "bowline-sim", "--"]).args(arguments);
    command::run(&mut cargo)
}
