//! Foreign files, read into memory by whoever may read files.

use core::fmt;
use std::collections::BTreeMap;

/// Files in one import: one for every host of a large inventory, and as many again.
pub const FILES_LIMIT: usize = 40_000;

/// Bytes of all files together: an inventory of 5,000 hosts is 1 MiB, with all their facts 50 MiB.
pub const BYTES_LIMIT: usize = 64 << 20;

/// A tree of files. Paths are relative to what the user named, with `/` between their parts.
#[derive(Clone, Default, Debug)]
pub struct Files {
    root: String,
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

/// The tree has reached [`FILES_LIMIT`] or [`BYTES_LIMIT`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMuch;

impl Files {
    /// An empty tree. `root` is what the user named, put before every path in messages; empty for nothing.
    pub fn new(root: &str) -> Self {
        Self { root: root.trim_end_matches('/').to_owned(), ..Self::default() }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// There are too many already, or they are too large.
    pub fn insert(&mut self, path: &str, content: Vec<u8>) -> Result<(), TooMuch> {
        let bytes = self.bytes.saturating_add(content.len());
        if bytes > BYTES_LIMIT || self.files.len() >= FILES_LIMIT {
            return Err(TooMuch);
        }
        self.bytes = bytes;
        self.files.insert(path.to_owned(), content);
        Ok(())
    }

    /// The content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// A file's path and content.
    pub(crate) fn entry(&self, path: &str) -> Option<(&str, &[u8])> {
        self.files.get_key_value(path).map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// All files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Files whose path begins with `folder` and a `/`, sorted by path.
    pub fn within<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let first = format!("{folder}/");
        let files = self.files.range(first.clone()..).take_while(move |(path, _)| path.starts_with(&first));
        files.map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// A file's name for messages.
    pub fn name(&self, path: &str) -> String {
        if self.root.is_empty() { path.to_owned() } else { format!("{}/{path}", self.root) }
    }

    /// What the user named.
    pub fn root(&self) -> &str {
        &self.root
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {FILES_LIMIT} files or {} MiB; is it the right folder?", BYTES_LIMIT >> 20)
    }
}

impl core::error::Error for TooMuch {}
