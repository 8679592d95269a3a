use super::*;

#[test]
fn versions_of_channels() {
    for (channel, found) in [
        ("1.35/stable", Some(35)),
        ("1.28", Some(28)),
        ("v1.9.3", Some(9)),
        ("1.22/candidate/fix", Some(22)),
        ("latest/edge", None),
        ("stable", None),
        ("3.4/stable", None),
        ("1.", None),
        ("", None),
    ] {
        assert_eq!(minor(channel), found, "{channel}");
    }
}

#[test]
fn eras_begin_where_the_rules_changed() {
    assert_eq!([0, 21, 22, 28, 29, 99].map(of), [Era::L, Era::L, Era::M, Era::M, Era::O, Era::O]);
}
