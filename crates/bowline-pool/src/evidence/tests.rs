use super::*;

#[test]
fn texts_are_cut_at_a_character() {
    let text = format!("{}ä", "a".repeat(TEXT_MAX - 1));
    assert_eq!(bounded(text), "a".repeat(TEXT_MAX - 1));
    assert_eq!(bounded("short".to_owned()), "short");
}
