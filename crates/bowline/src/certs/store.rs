//! Writes certificates and keys so that nobody ever sees half of one, and none is lost.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Nobody else may read a key.
const KEY_MODE: u32 = 0o600;
/// Certificates are no secret.
const CERTIFICATE_MODE: u32 = 0o644;

/// A file to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewFile {
    /// Its name in the folder.
    pub name: String,
    /// Its whole content.
    pub content: String,
    /// Whether only the owner may read it.
    pub is_key: bool,
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of that name is there.
    #[error("{file}: is there already and is left alone; use --force to replace it, or another --out")]
    Exists {
        /// Which.
        file: String,
    },
    /// Where the folder should be is something else.
    #[error("{directory}: is not a folder; give --out a folder, or a path where one can be made")]
    NotAFolder {
        /// Which.
        directory: String,
    },
    /// The file system refuses.
    #[error("{file}: cannot be written: {source}")]
    Io {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// Writes `files` into `directory`, which is made when it is missing: all of them or, unless something fails between two
/// renames, none. Returns their paths.
///
/// # Errors
///
/// One of them is there already and `is_forced` is not set, or the file system refuses.
pub fn write_new(directory: &Path, files: &[NewFile], is_forced: bool) -> Result<Vec<PathBuf>, StoreError> {
    if directory.exists() && !directory.is_dir() {
        return Err(StoreError::NotAFolder { directory: directory.display().to_string() });
    }
    let targets: Vec<PathBuf> = files.iter().map(|file| directory.join(&file.name)).collect();
    let exists = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    if let Some(found) = targets.iter().find(|path| !is_forced && exists(path)) {
        return Err(StoreError::Exists { file: found.display().to_string() });
    }
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    let mut staged = Staged(Vec::new());
    for file in files {
        let path = directory.join(format!(".{}.{}.tmp", file.name, std::process::id()));
        // Left by a process of the same id that was killed, if it is there at all.
        let _gone = fs::remove_file(&path);
        staged.0.push(path.clone());
        stage(&path, file).map_err(|source| failed(&path, source))?;
    }
    for (index, target) in targets.iter().enumerate() {
        let Some(path) = staged.0.get(index) else { continue };
        if let Err(source) = publish(path, target, is_forced) {
            if !is_forced {
                // Only what was made here a moment ago, which nobody can depend on.
                targets.iter().take(index).for_each(|made| drop(fs::remove_file(made)));
            }
            return Err(match source.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists { file: target.display().to_string() },
                _ => failed(target, source),
            });
        }
    }
    fs::File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| failed(directory, source))?;
    Ok(targets)
}

/// Files under temporary names, which are gone when this is dropped.
struct Staged(Vec<PathBuf>);

impl Drop for Staged {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

fn stage(path: &Path, file: &NewFile) -> io::Result<()> {
    let mode = if file.is_key { KEY_MODE } else { CERTIFICATE_MODE };
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    opened.write_all(file.content.as_bytes())?;
    opened.sync_all()
}

/// Gives the file its name; a link fails where the name is taken, a rename replaces.
fn publish(staged: &Path, target: &Path, is_forced: bool) -> io::Result<()> {
    if is_forced { fs::rename(staged, target) } else { fs::hard_link(staged, target) }
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { file: path.display().to_string(), source }
}
