use super::*;

#[test]
fn a_word_is_found_with_its_line() {
    let words = ["leak".to_owned(), "trace".to_owned()];
    let text = "first\nno leaks here, no traces\nlast\n";
    assert_eq!(found(text, &words).collect::<Vec<_>>(), [(2, "leak"), (2, "trace")]);
    assert_eq!(found("clean\n", &words).count(), 0);
}
