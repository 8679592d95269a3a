//! Replacing a file by a new version of it, so that nobody ever sees half of one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Names of its own that a new version tries before it gives up: others may be in the way, left by a power failure.
const NAMES: u32 = 100;

/// Gives the file at `path` this content, all of it or nothing. Its owner, its group and its mode stay, and so does a
/// symbolic link that leads to it.
///
/// # Errors
///
/// The file is not there, is no ordinary one or is a mount of its own, or its folder cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    if !old.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    let (mut file, name) = create_beside(&path)?;
    let written = (|| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode()))?;
        file.write_all(content)?;
        // The new name must never lead to a file without its content, even after a power failure.
        file.sync_all()?;
        fs::rename(&name, &path)
    })();
    if let Err(error) = written {
        // What is left of it is of no use; the first error says why.
        let _kept = fs::remove_file(&name);
        return Err(explained(error));
    }
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A new file in the same folder, which only its owner can read yet.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 0;
    loop {
        let beside = path.with_file_name(format!(".{name}.bowline-{number}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NAMES => number += 1,
            Ok(file) => return Ok((file, beside)),
            Err(error) => return Err(error),
        }
    }
}

fn explained(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::ResourceBusy {
        let why =
            "it is a mount of its own, as in a container, and cannot be replaced; do it outside, on the node";
        return io::Error::new(error.kind(), why);
    }
    error
}

#[cfg(test)]
mod tests;
