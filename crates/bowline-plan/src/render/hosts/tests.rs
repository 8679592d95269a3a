use super::*;
use proptest::prelude::*;

fn line(address: &str, names: &[&str]) -> HostsLine {
    HostsLine {
        address: address.parse().unwrap(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn a_block_is_put_at_the_end_and_kept_in_its_place() {
    let first =
        with_hosts_block(b"127.0.0.1 localhost\n", &[line("10.0.0.1", &["api.example.net"])]).unwrap();
    let expected = format!("127.0.0.1 localhost\n{BEGIN}\n10.0.0.1 api.example.net\n{END}\n");
    assert_eq!(String::from_utf8_lossy(&first), expected);
    let more = [first.as_slice(), b"10.9.9.9 printer\n"].concat();
    let second = with_hosts_block(&more, &[line("fd00::1", &["api.example.net", "api"])]).unwrap();
    let expected =
        format!("127.0.0.1 localhost\n{BEGIN}\nfd00::1 api.example.net api\n{END}\n10.9.9.9 printer\n");
    assert_eq!(String::from_utf8_lossy(&second), expected);
    assert_eq!(with_hosts_block(&second, &[]).unwrap(), b"127.0.0.1 localhost\n10.9.9.9 printer\n");
}

#[test]
fn what_came_behind_the_block_keeps_the_line_end_before_it() {
    let with = with_hosts_block(b"127.0.0.1 localhost", &[line("10.0.0.1", &["api"])]).unwrap();
    assert_eq!(without_hosts_block(&with).unwrap(), b"127.0.0.1 localhost");
    let more = [with.as_slice(), b"10.9.9.9 printer"].concat();
    assert_eq!(without_hosts_block(&more).unwrap(), b"127.0.0.1 localhost\n10.9.9.9 printer");
}

#[test]
fn blanks_and_carriage_returns_behind_the_marks_are_passed_over() {
    let content = format!("a\r\n{BEGIN}\r\n10.0.0.1 api\r\n{END} \r\nb");
    assert_eq!(without_hosts_block(content.as_bytes()).unwrap(), b"a\r\nb");
}

#[test]
fn a_second_block_goes_and_one_without_an_end_is_left_alone() {
    let twice = format!("{BEGIN}\n{END}\nx\n{BEGIN}\n{END}\n");
    let once = format!("{BEGIN}\n10.0.0.1 api\n{END}\nx\n");
    assert_eq!(with_hosts_block(twice.as_bytes(), &[line("10.0.0.1", &["api"])]).unwrap(), once.as_bytes());
    for unended in [format!("x\n{BEGIN}\ny\n"), format!("x\n{BEGIN}\n{BEGIN}\n{END}\n")] {
        assert_eq!(without_hosts_block(unended.as_bytes()), Err(UnendedBlock { line: 2 }));
        assert_eq!(
            with_hosts_block(unended.as_bytes(), &[line("10.0.0.1", &["a"])]),
            Err(UnendedBlock { line: 2 })
        );
    }
}

#[test]
fn lines_that_lead_a_name_elsewhere_are_found() {
    let own = [line("10.0.0.1", &["api.example.net"]), line("fd00::1", &["api.example.net"])];
    let content =
        b"\xff\n10.0.0.9 API.example.net # old\n10.0.0.1 api.example.net\n# 10.0.0.8 api.example.net\n";
    let with = with_hosts_block(content, &own).unwrap();
    let shadow = Shadow { line: 2, name: "API.example.net".to_owned(), address: "10.0.0.9".parse().unwrap() };
    assert_eq!(shadows(&with, &own), [shadow]);
}

fn lines() -> impl Strategy<Value = Vec<HostsLine>> {
    let line = (any::<IpAddr>(), prop::collection::vec("[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", 1..3));
    prop::collection::vec(line.prop_map(|(address, names)| HostsLine { address, names }), 0..4)
}

/// Bytes of any kind, with line ends more often than chance would have them.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"# bowline: end\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20)
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_was_put_there_goes_without_a_trace(content in content(), first in lines(), second in lines()) {
        let with = with_hosts_block(&content, &first).unwrap();
        prop_assert_eq!(&without_hosts_block(&with).unwrap(), &content);
        prop_assert_eq!(&with_hosts_block(&with, &first).unwrap(), &with);
        let other = with_hosts_block(&with, &second).unwrap();
        prop_assert_eq!(&other, &with_hosts_block(&content, &second).unwrap());
        prop_assert_eq!(&without_hosts_block(&other).unwrap(), &content);
    }

    #[test]
    fn no_bytes_around_the_block_change(
        before in content(),
        after in content(),
        first in lines().prop_filter("a block", |lines| !lines.is_empty()),
        second in lines(),
    ) {
        let with = [with_hosts_block(&before, &first).unwrap(), after.clone()].concat();
        let changed = with_hosts_block(&with, &second).unwrap();
        prop_assert!(changed.starts_with(&before) && changed.ends_with(&after));
        prop_assert_eq!(with_hosts_block(&changed, &second).unwrap(), changed);
    }
}
