use super::*;
use proptest::prelude::*;

fn cells<const N: usize>(cells: [&str; N]) -> [String; N] {
    cells.map(str::to_owned)
}

#[test]
fn tables_align_and_fit_the_width() {
    let long = "a reason that is so long that it cannot stand beside the rest of its row on one line";
    let text = table(["NAME", "REASON"], [cells(["cp1", "answers /readyz"]), cells(["a-longer-name", long])]);
    assert!(text.lines().all(|line| line.len() <= usize::from(WIDTH)), "{text}");
    assert!(
        text.starts_with("NAME           REASON\ncp1            answers /readyz\na-longer-name  a reason"),
        "{text}"
    );
}

#[test]
fn a_table_without_room_for_its_words_becomes_paragraphs() {
    let address = "2001:db8:1234:5678:9abc:def0:1234:100";
    let name = "control-plane-01.dc1.production.example.net";
    let row = cells([name, address, "first word and so many more that they take a second line", ""]);
    let text = indented_table(2, ["NODE", "ADDRESS", "WHY", "OTHER"], [row.clone(), row]);
    let paragraph = format!(
        "  NODE     {name}\n  ADDRESS  {address}\n  WHY      first word and so many more that they take a second line\n  OTHER\n"
    );
    assert_eq!(text, format!("{paragraph}\n{paragraph}"));
}

#[test]
fn long_texts_are_wrapped_at_their_spaces() {
    assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
    assert_eq!(wrapped("one-that-is-longer two", 7), ["one-that-is-longer", "two"]);
    assert_eq!(wrapped("", 7), [""]);
}

/// Text with lines and words of every length there can be.
fn cell() -> impl Strategy<Value = String> {
    let word = prop_oneof![8 => "[a-z0-9.:-]{1,14}", 1 => "[a-z0-9.:-]{15,90}"];
    let line = prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "));
    prop::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_word_is_broken_and_no_line_is_too_long_but_for_one_word(
        rows in prop::collection::vec([cell(), cell(), cell(), cell()], 1..5),
        indent in 0_u16..4,
    ) {
        let text = indented_table(indent, ["NAME", "WHAT IS IT", "WHY", "HEARD"], rows.clone());
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        let given: Vec<String> = words(&rows.concat().join(" "));
        let mut shown = words(&text);
        for word in &given {
            let found = shown.iter().position(|other| other == word);
            prop_assert!(found.is_some(), "{word} is broken:\n{text}");
            shown.remove(found.unwrap_or(0));
        }
        let longest = rows.concat().iter().map(|cell| longest_word(cell)).max().unwrap_or(0);
        // A paragraph has the longest title and a gap before its values.
        let bound = usize::from(WIDTH.max(indent + 12 + longest));
        prop_assert!(text.lines().all(|line| columns(line) <= bound), "{text}");
    }
}
