use super::*;

fn root(text: &str) -> Tree {
    let parsed = parse(text).unwrap();
    assert!(parsed.faults.is_empty(), "{:?}", parsed.faults);
    parsed.root.unwrap()
}

fn stops_with(text: &str) -> (u32, String) {
    let fault = parse(text).unwrap_err();
    (fault.at.line, fault.message)
}

fn plain(text: &str) -> Value {
    Value::Plain(text.into())
}

#[test]
fn values_stand_where_they_are_written() {
    let Value::Mapping(entries) = root("a: 1\nbc:\n- x\n- {y: z}\n").value else { panic!("not a mapping") };
    let at = |line, column| Position { line, column };
    assert_eq!((entries[0].at, entries[0].tree.at), (at(1, 1), at(1, 4)));
    assert_eq!(entries[1].at, at(2, 1));
    let Value::Sequence(items) = &entries[1].tree.value else { panic!("not a list") };
    assert_eq!((items[0].at, items[1].at), (at(3, 3), at(4, 3)));
}

#[test]
fn scalars_keep_their_text() {
    let Value::Sequence(items) = root("[1.30, 0x10, yes, null, ~, '1', \"2\", !!str 3]").value else {
        panic!("not a list")
    };
    let quoted = |text: &str| Value::Quoted(text.into());
    let values: Vec<Value> = items.into_iter().map(|item| item.value).collect();
    let expected = [plain("1.30"), plain("0x10"), plain("yes"), Value::Null, Value::Null];
    assert_eq!(values, [&expected[..], &[quoted("1"), quoted("2"), quoted("3")]].concat());
}

#[test]
fn aliases_are_copies() {
    let Value::Mapping(entries) = root("a: &x [1, 2]\nb: *x\n").value else { panic!("not a mapping") };
    assert_eq!(entries[0].tree.value, entries[1].tree.value);
}

#[test]
fn aliases_count_as_often_as_they_are_used() {
    // 10 to the power of 13 values, if they were made.
    let bomb = include_str!("../../../tests/cases/bad-alias-bomb/cluster.yaml");
    assert!(stops_with(bomb).1.starts_with("more than 600000 values"));
    // As many anchors within anchors as nesting allows are no way around it.
    let nested = (0..30).fold("x".to_owned(), |inner, n| format!("[&a{n} {inner}]"));
    parse(&nested).unwrap();
}

#[test]
fn values_are_limited() {
    let list = |count: usize| format!("[{}x]", "x,".repeat(count - 2));
    assert!(parse(&list(VALUES_LIMIT)).is_ok());
    assert!(stops_with(&list(VALUES_LIMIT + 1)).1.starts_with("more than 600000 values"));
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(NESTING_LIMIT)).is_ok());
    for depth in [NESTING_LIMIT + 1, 2 * NESTING_LIMIT + 1, 1_000_000] {
        assert_eq!(stops_with(&nested(depth)).1, "nested more than 32 deep");
    }
    let indented: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(stops_with(&indented), (33, "nested more than 32 deep".to_owned()));
    let dashes = "- ".repeat(5000);
    assert_eq!(stops_with(&dashes).1, "nested more than 32 deep");
}

#[test]
fn what_is_given_twice_is_passed_over() {
    let parsed = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n").unwrap();
    let faults: Vec<(u32, String)> =
        parsed.faults.iter().map(|fault| (fault.at.line, fault.path.to_string())).collect();
    assert_eq!(faults, [(2, "b.c".to_owned()), (3, "a".to_owned())]);
    let Value::Mapping(entries) = parsed.root.unwrap().value else { panic!("not a mapping") };
    assert_eq!(entries[0].tree.value, plain("1"));
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_text_without_a_value_has_no_root() {
    assert!(parse("").unwrap().root.is_none());
    assert!(parse("# a comment\n").unwrap().root.is_none());
}
