use super::*;

#[test]
fn words_that_look_alike_are_close() {
    assert_eq!(distance("nodez", "nodes"), 1);
    assert_eq!(distance("adresses", "addresses"), 1);
    assert_eq!(distance("idel", "idle"), 2);
    assert_eq!(distance("", "ab"), 2);
    assert_eq!(distance("same", "same"), 0);
    assert_eq!(distance("a", "abcdefgh"), 7);
}

#[test]
fn the_closest_word_is_suggested_and_a_far_one_is_not() {
    let words = ["mode".to_owned(), "port".to_owned(), "on".to_owned()];
    assert_eq!(closest("Mode", words.iter()), Some("mode"));
    assert_eq!(closest("prot", words.iter()), Some("port"));
    assert_eq!(closest("x", words.iter()), None);
    assert_eq!(closest("something", words.iter()), None);
}
