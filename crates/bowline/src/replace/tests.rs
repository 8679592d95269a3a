use super::*;
use bowline_lab::fleet::Scratch;
use std::os::unix::fs::symlink;

#[test]
fn mode_and_link_stay_and_nothing_is_left_beside() {
    let scratch = Scratch::new("replace").unwrap();
    let (file, link) = (scratch.path().join("hosts"), scratch.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    symlink("hosts", &link).unwrap();
    // In the way, as after a power failure.
    fs::write(scratch.path().join(".hosts.bowline-0"), "half").unwrap();
    replace(&link, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 3);
}

#[test]
fn the_owner_stays() {
    let scratch = Scratch::new("replace").unwrap();
    let file = scratch.path().join("hosts");
    fs::write(&file, "old").unwrap();
    // Root alone may give a file away; for anybody else there is nothing to be seen.
    let given = std::os::unix::fs::chown(&file, Some(12_345), Some(54_321));
    let before = fs::metadata(&file).unwrap();
    replace(&file, b"new").unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert!(given.is_err() || after.uid() == 12_345);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let scratch = Scratch::new("replace").unwrap();
    assert_eq!(replace(&scratch.path().join("none"), b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(replace(scratch.path(), b"").unwrap_err().to_string(), "it is no ordinary file");
}
