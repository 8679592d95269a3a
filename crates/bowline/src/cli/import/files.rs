//! Reading foreign files into memory.

use crate::failure::Failure;
use bowline_plan::import::{BYTES_LIMIT, Files};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders within folders of variables. It also ends a walk around a circle of links.
const DEPTH_LIMIT: usize = 16;

/// One file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| input(format!("cannot read {}: {error}", file.display()));
    let mut bytes = Vec::new();
    let limit = u64::try_from(BYTES_LIMIT).unwrap_or(u64::MAX);
    let opened = fs::File::open(file).map_err(failed)?;
    // One byte more than is taken, so that too much is told from just enough.
    opened.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > BYTES_LIMIT {
        let mebibytes = BYTES_LIMIT >> 20;
        return Err(input(format!("{}: more than {mebibytes} MiB; is it the right file?", file.display())));
    }
    Ok(bytes)
}

/// Several files with their names for messages.
pub(super) fn named(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    files.iter().map(|file| Ok((file.display().to_string(), read(file)?))).collect()
}

/// An inventory: a folder, or a file with the folders `group_vars` and `host_vars` beside it.
pub(super) fn inventory(path: &Path) -> Result<Files, Failure> {
    let is_folder = fs::metadata(path)
        .map_err(|error| input(format!("cannot read {}: {error}", path.display())))?
        .is_dir();
    let root = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
    let mut files = Files::new(&root.display().to_string());
    if is_folder {
        for name in names(root)? {
            let inner = root.join(&name);
            if !name.starts_with('.') && !inner.is_dir() {
                add(&mut files, &name, &inner)?;
            }
        }
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        add(&mut files, &name, path)?;
    }
    for folder in ["group_vars", "host_vars"] {
        let inner = root.join(folder);
        if inner.is_dir() {
            walk(&mut files, folder, &inner, 0)?;
        }
    }
    Ok(files)
}

fn walk(files: &mut Files, inside: &str, folder: &Path, depth: usize) -> Result<(), Failure> {
    if depth > DEPTH_LIMIT {
        let message = format!(
            "{}: more than {DEPTH_LIMIT} folders in each other; a circle of links?",
            folder.display()
        );
        return Err(input(message));
    }
    for name in names(folder)? {
        let (path, inner) = (folder.join(&name), format!("{inside}/{name}"));
        if path.is_dir() {
            walk(files, &inner, &path, depth + 1)?;
        } else {
            add(files, &inner, &path)?;
        }
    }
    Ok(())
}

/// What is in a folder. A name that is no text is none that an inventory refers to.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: std::io::Error| input(format!("cannot read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn add(files: &mut Files, name: &str, path: &Path) -> Result<(), Failure> {
    let bytes = read(path)?;
    files.insert(name, bytes).map_err(|error| input(format!("{}: {error}", path.display())))
}

fn input(line: String) -> Failure {
    Failure::Input(vec![line])
}
