use super::*;
use std::path::Path;

fn command(program: &str, arguments: &[&str]) -> GuardCommand {
    GuardCommand { program: program.into(), arguments: arguments.iter().map(Into::into).collect() }
}

/// There is a process of that number, or what is left of one that nobody has waited for.
fn is_there(guard: &Guard) -> impl Fn() -> bool + use<> {
    let number = guard.running.as_ref().unwrap().child.id();
    move || Path::new(&format!("/proc/{number}")).exists()
}

#[test]
fn nothing_is_left_of_a_guard_that_is_dismissed_or_not_needed_after_all() {
    for dismissed in [true, false] {
        let guard = Guard::start(command("cat", &[])).unwrap();
        let is_there = is_there(&guard);
        assert!(is_there());
        if dismissed {
            guard.dismiss()
        } else {
            drop(guard)
        }
        assert!(!is_there(), "dismissed: {dismissed}");
    }
}

#[test]
fn a_guard_that_does_not_end_by_itself_is_ended() {
    let guard = Guard::start(command("sleep", &["1000"])).unwrap();
    let is_there = is_there(&guard);
    guard.dismiss();
    assert!(!is_there());
}

#[test]
fn a_guard_that_cannot_be_told_anything_is_replaced_and_nothing_is_left_of_it() {
    let mut guard = Guard::start(command("sleep", &["1000"])).unwrap();
    let is_there = is_there(&guard);
    let will = Will {
        interface: 1,
        virtual_link: None,
        before: None,
        source: [10, 0, 0, 1].into(),
        adverts: Vec::new(),
        addresses: Vec::new(),
    };
    // It reads nothing, so that its socket is full some time.
    let mut said = 0;
    while guard.look_after(Instant::ORIGIN).is_none() {
        guard.arm(said, &will);
        said += 1;
        assert!(said < 1_000_000, "it takes everything");
    }
    assert!(!is_there());
}
