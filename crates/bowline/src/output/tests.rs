use super::*;

#[test]
fn tables_align_and_fit_the_width() {
    let long =
        "a reason that is so long that it cannot stand beside the rest of its row on one line".to_owned();
    let text = table(
        ["NAME", "REASON"],
        [["cp1".to_owned(), "answers /readyz".to_owned()], ["a-longer-name".to_owned(), long]],
    );
    assert!(text.lines().all(|line| line.len() <= usize::from(WIDTH)), "{text}");
    assert!(
        text.starts_with("NAME           REASON\ncp1            answers /readyz\na-longer-name  a reason"),
        "{text}"
    );
}
