use super::*;

#[test]
fn words_of_a_line() {
    for (line, expected) in [
        ("", vec![]),
        ("  # a comment", vec![]),
        ("bind *:6443 # all", vec!["bind", "*:6443"]),
        ("\tserver 'cp 1' 10.0.0.11:6443\r", vec!["server", "cp 1", "10.0.0.11:6443"]),
        ("a\\ b \"c\\\"d\" '\\'", vec!["a b", "c\"d", "\\"]),
        ("a\"\" ''", vec!["a", ""]),
        ("a\\", vec!["a"]),
    ] {
        assert_eq!(split(line).unwrap(), expected, "{line}");
    }
    assert!(split("a \"b").is_err());
    assert!(split("it's").is_err());
}
