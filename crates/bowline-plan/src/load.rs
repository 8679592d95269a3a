//! From the bytes of a file to a cluster, or to everything that is wrong with them.

use serde::Deserialize;

use crate::cluster::Cluster;
use crate::description::Description;
use crate::problem::Problem;
use crate::source::{self, Findings, Shape};
use crate::validate::validate;

/// A file larger than this is refused before it is looked at; 20,000 nodes with two addresses each are
/// a quarter of it.
pub const SIZE_LIMIT: usize = 8 << 20;

/// Reads a description. `file` is its name, for messages.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn load(file: &str, bytes: &[u8]) -> Result<Cluster, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let cluster = decode(bytes, &mut findings).and_then(|text| read(file, text, &mut findings));
    match cluster {
        Some(cluster) if findings.is_empty() => Ok(cluster),
        Some(_) | None => Err(findings.into_problems()),
    }
}

/// The bytes as text, if there are few enough and they are text.
fn decode<'a>(bytes: &'a [u8], findings: &mut Findings<'_>) -> Option<&'a str> {
    if bytes.len() > SIZE_LIMIT {
        let mebibytes = bytes.len().div_ceil(1 << 20);
        findings.add_about_file(
            format!("{mebibytes} MiB are no description; at most {} MiB are read", SIZE_LIMIT >> 20),
            "is it the right file?",
        );
        return None;
    }
    match core::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
            findings.add_about_file(
                format!("not UTF-8 text: the first byte that is not is in line {line}"),
                "save it as UTF-8; is it the right file?",
            );
            None
        }
    }
}

fn read(file: &str, text: &str, findings: &mut Findings<'_>) -> Option<Cluster> {
    // A test holds that the schema has a shape and that serde takes whatever fits it: the two errors below are bugs.
    let Some(shape) = Shape::of(&crate::schema::inlined()) else {
        findings.add_about_file("the format has a form that cannot be checked".to_owned(), BUG_REMEDY);
        return None;
    };
    let read = source::read(file, text, &shape, findings)?;
    match Description::deserialize(read.json) {
        Ok(description) => validate(read.source, description, findings),
        Err(error) => {
            findings.add_about_file(format!("cannot be taken in: {error}"), BUG_REMEDY);
            None
        }
    }
}

const BUG_REMEDY: &str = "please report this: it is a bug in bowline";

#[cfg(test)]
mod tests;
