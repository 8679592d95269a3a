//! Every licence expression in the graph is met by deny.toml's allow list.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let allowed = allow_list(&text)?;
    let mut problems = Vec::new();
    for package in workspace.packages() {
        let name = package["name"].as_str().context("a package's name")?;
        match package["license"].as_str() {
            Some(licence) if met(licence, &allowed) => {}
            Some(licence) => {
                problems.push(format!("{name}: licence `{licence}` is not allowed by deny.toml"))
            }
            None => problems.push(format!("{name}: no licence expression")),
        }
    }
    if command::works("cargo-deny", &["deny", "--version"]) {
        let mut deny = command::cargo(&workspace.root);
        deny.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
        command::run(&mut deny)?;
    }
    Ok(problems)
}

/// The quoted names between `allow = [` and `]`.
fn allow_list(deny: &str) -> Result<Vec<&str>> {
    let list =
        deny.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
    let allowed: Vec<&str> =
        list.context("`allow = [` in deny.toml")?.split('"').skip(1).step_by(2).collect();
    if allowed.is_empty() {
        bail!("deny.toml allows no licence");
    }
    Ok(allowed)
}

/// An SPDX expression, of `OR`, `AND`, `WITH` and parentheses (`/` is an old way to write `OR`), is met.
fn met(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    parser.any() == Some(true) && parser.tokens.is_empty()
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl Parser<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.any()?;
            return self.take(")").then_some(met);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests;
