use super::*;

fn host(lines: &[&str]) -> Host {
    Host(BTreeMap::from([("addresses", lines.iter().map(|line| stable(line)).collect())]))
}

#[test]
fn a_lifetime_that_runs_down_is_no_difference() {
    let before =
        host(&["2: eth0 inet 192.0.2.7/24 scope global eth0\\ valid_lft 86390sec preferred_lft 86390sec"]);
    let after =
        host(&["2: eth0 inet 192.0.2.7/24 scope global eth0\\ valid_lft 86301sec preferred_lft 86301sec"]);
    assert_eq!(before.differences(&after), Vec::<String>::new());
}

#[test]
fn what_came_and_what_went_is_named() {
    let before = host(&["1: lo inet 127.0.0.1/8", "2: eth0 inet 192.0.2.7/24"]);
    let after = host(&["1: lo inet 127.0.0.1/8", "9: veth0 inet 192.0.2.9/24"]);
    let found = before.differences(&after);
    assert_eq!(
        found,
        ["addresses: new: 9: veth0 inet 192.0.2.9/24", "addresses: gone: 2: eth0 inet 192.0.2.7/24"]
    );
}

#[test]
fn a_process_of_the_run_is_found_by_its_environment() {
    let mark = format!("test-{}", std::process::id());
    let mut child = Command::new("sleep").arg("30").env(MARK, &mark).spawn().unwrap();
    // The kernel lets the parent go on a moment before the child's new environment can be read.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut found = left_over(&mark);
    while found.is_empty() && std::time::Instant::now() < deadline {
        found = left_over(&mark);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("sleep 30"), "{found:?}");
    assert!(left_over(&mark).is_empty());
}
