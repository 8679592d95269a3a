use super::*;
use std::fs;
use std::path::PathBuf;

/// A directory of this test alone, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bowline-watch-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn writes_and_renames_are_seen_and_reads_are_not() {
    let scratch = Scratch::new("file");
    let file = scratch.0.join("cluster.yaml");
    let watch = FileWatch::new(&file).unwrap();
    assert!(!watch.changed().unwrap());

    fs::write(&file, "a").unwrap();
    assert!(watch.changed().unwrap());
    assert!(!watch.changed().unwrap(), "taken once");

    assert_eq!(fs::read_to_string(&file).unwrap(), "a");
    fs::write(scratch.0.join("other"), "b").unwrap();
    assert!(!watch.changed().unwrap(), "neither a read nor another file");

    fs::rename(scratch.0.join("other"), &file).unwrap();
    assert!(watch.changed().unwrap());
}

#[test]
fn a_kubernetes_volume_that_swaps_its_data_is_seen() {
    let scratch = Scratch::new("volume");
    for generation in ["one", "two"] {
        fs::create_dir(scratch.0.join(generation)).unwrap();
        fs::write(scratch.0.join(generation).join("cluster.yaml"), generation).unwrap();
    }
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, scratch.0.join(name)).unwrap();
    link("one", "..data");
    link("..data/cluster.yaml", "cluster.yaml");
    let file = scratch.0.join("cluster.yaml");
    let watch = FileWatch::new(&file).unwrap();

    link("two", "..data_tmp");
    fs::rename(scratch.0.join("..data_tmp"), scratch.0.join("..data")).unwrap();
    assert!(watch.changed().unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    assert!(FileWatch::new(Path::new("/")).is_err());
    assert!(FileWatch::new(Path::new("/no/such/directory/file")).is_err());
}
