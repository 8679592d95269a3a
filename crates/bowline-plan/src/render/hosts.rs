//! A block of lines in somebody else's hosts file: put there, kept up to date, and taken out without a trace.
//!
//! A hosts file need not be UTF-8 and need not end with a line end, so all of this is about bytes. The block stands at the
//! end: whoever asks what 127.0.0.1 is called gets the first name in the file, which is to stay `localhost`.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::plan::HostsLine;

/// The block's first line.
const BEGIN: &str = "# bowline: begin; what stands up to the end is replaced";
/// The same where the file did not end with a line end: one was added before, and goes with the block.
const BEGIN_JOINED: &str =
    "# bowline: begin; what stands up to the end is replaced, with the line end before it";
/// The block's last line.
const END: &str = "# bowline: end";

/// A block begins in this line, counted from 1, and does not end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnendedBlock {
    /// Where it begins.
    pub line: usize,
}

impl fmt::Display for UnendedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: the block that begins here has no end; put the line `{END}` behind the block's last line, or take out \
             all of it",
            self.line
        )
    }
}

impl core::error::Error for UnendedBlock {}

/// A line before the block that gives one of the block's names another address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shadow {
    /// Counted from 1.
    pub line: usize,
    /// The name.
    pub name: String,
    /// Where that line leads.
    pub address: IpAddr,
}

/// One line each: the address, then the names.
pub fn hosts_file_lines(lines: &[HostsLine]) -> String {
    lines.iter().map(|line| format!("{} {}\n", line.address, line.names.join(" "))).collect()
}

/// `content` with a block of these lines; without one where there are none.
///
/// # Errors
/// It has a block without an end.
pub fn with_hosts_block(content: &[u8], lines: &[HostsLine]) -> Result<Vec<u8>, UnendedBlock> {
    if lines.is_empty() {
        return without_hosts_block(content);
    }
    let parts = parts(content)?;
    let is_joined = match parts.iter().find_map(Part::joined) {
        Some(is_joined) => is_joined,
        None => !content.is_empty() && !content.ends_with(b"\n"),
    };
    let begin = if is_joined { BEGIN_JOINED } else { BEGIN };
    let block = format!("{begin}\n{}{END}\n", hosts_file_lines(lines));
    let mut new = Vec::with_capacity(content.len().saturating_add(block.len()));
    let mut is_written = false;
    for part in &parts {
        match part {
            Part::Other(bytes) => new.extend_from_slice(bytes),
            Part::Block { .. } if is_written => {}
            Part::Block { .. } => {
                new.extend_from_slice(block.as_bytes());
                is_written = true;
            }
        }
    }
    if !is_written {
        if is_joined {
            new.push(b'\n');
        }
        new.extend_from_slice(block.as_bytes());
    }
    Ok(new)
}

/// `content` without the block, every other byte as it was.
///
/// # Errors
/// It has a block without an end.
pub fn without_hosts_block(content: &[u8]) -> Result<Vec<u8>, UnendedBlock> {
    let mut new = Vec::with_capacity(content.len());
    let mut added_line_end = false;
    for part in parts(content)? {
        match part {
            Part::Other(bytes) => {
                new.extend_from_slice(bytes);
                // Somebody went on behind the block: the line end is theirs now.
                added_line_end = false;
            }
            Part::Block { is_joined } => added_line_end = is_joined,
        }
    }
    if added_line_end && new.ends_with(b"\n") {
        new.pop();
    }
    Ok(new)
}

/// Lines before the block, which count before it, that lead one of its names elsewhere.
pub fn shadows(content: &[u8], lines: &[HostsLine]) -> Vec<Shadow> {
    let Ok(parts) = parts(content) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let Part::Other(line) = part else { break };
        let line = String::from_utf8_lossy(line);
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| IpAddr::from_str(word).ok()) else { continue };
        for name in words {
            let has = |line: &&HostsLine| line.names.iter().any(|own| own.eq_ignore_ascii_case(name));
            let mut own = lines.iter().filter(has).peekable();
            if own.peek().is_some() && own.all(|line| line.address != address) {
                found.push(Shadow { line: index.saturating_add(1), name: name.to_owned(), address });
            }
        }
    }
    found
}

enum Part<'a> {
    /// A line that is not ours, with its end.
    Other(&'a [u8]),
    Block {
        is_joined: bool,
    },
}

impl Part<'_> {
    fn joined(&self) -> Option<bool> {
        match self {
            Self::Other(_) => None,
            Self::Block { is_joined } => Some(*is_joined),
        }
    }
}

fn parts(content: &[u8]) -> Result<Vec<Part<'_>>, UnendedBlock> {
    let mut parts = Vec::new();
    let mut begun = None;
    for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // An editor may have left blanks or carriage returns behind.
        let text = line.trim_ascii_end();
        let begins = if text == BEGIN.as_bytes() {
            Some(false)
        } else if text == BEGIN_JOINED.as_bytes() {
            Some(true)
        } else {
            None
        };
        match (begun, begins) {
            (None, None) => parts.push(Part::Other(line)),
            (None, Some(is_joined)) => begun = Some((index.saturating_add(1), is_joined)),
            (Some((line, _)), Some(_)) => return Err(UnendedBlock { line }),
            (Some((_, is_joined)), None) => {
                if text == END.as_bytes() {
                    parts.push(Part::Block { is_joined });
                    begun = None;
                }
            }
        }
    }
    match begun {
        Some((line, _)) => Err(UnendedBlock { line }),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests;
