use super::*;

#[test]
fn seconds_with_fractions() {
    for (text, expected) in [
        ("1", Some(1_000)),
        ("0.1", Some(100)),
        ("0.05", Some(50)),
        ("1.2345", Some(1_234)),
        ("2.", Some(2_000)),
        (".5", None),
        ("-1", None),
        ("1e3", None),
        ("x", None),
        ("", None),
        ("99999999999", None),
    ] {
        assert_eq!(milliseconds(text), expected, "{text}");
    }
}

#[test]
fn blocks_in_every_layout() {
    let shown = |text: &str| {
        fn show(block: &Block) -> String {
            let children: Vec<String> = block.children.iter().map(show).collect();
            format!("{}({})", block.words.join(" "), children.join(","))
        }
        let blocks = blocks::parse("f", &text.lines().collect::<Vec<_>>()).unwrap();
        blocks.iter().map(show).collect::<Vec<_>>().join(",")
    };
    assert_eq!(shown("a b {\n c d\n e { f\n g }\n}\nh"), "a b(c d(),e(f(),g())),h()");
    assert_eq!(shown("a\n{\n b\n}\n"), "a(b())");
    assert_eq!(shown("a { b } c { }"), "a(b()),c()");
    assert_eq!(shown("a \"b { c\" # d\n! e\n"), "a b { c()");
    assert_eq!(shown("a ${B} c"), "a ${B} c()");
    assert_eq!(shown(""), "");
}

#[test]
fn blocks_that_do_not_match() {
    let said = |text: &str| blocks::parse("f", &text.lines().collect::<Vec<_>>()).unwrap_err().to_string();
    assert_eq!(said("a {\n"), "f:1: the block `a` is not closed; add a closing brace; is the file complete?");
    assert_eq!(said("}"), "f:1: a closing brace too many; remove it, or open its block");
    assert_eq!(said("a\nb \"c"), "f:2: quotes that are not closed; close the quotes");
    assert_eq!(said(&"a {\n".repeat(9)), "f:9: too many braces within braces; close some before");
}

#[test]
fn every_number_that_is_none_is_said_with_its_line() {
    let text =
        "vrrp_instance a {\n virtual_router_id 300\n priority 0\n advert_int soon\n preempt_delay later\n}\n";
    let problems = read("f", text.as_bytes(), &mut Vec::new()).unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [("f:2", "300"), ("f:3", "priority"), ("f:4", "soon"), ("f:5", "later")];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, (place, word)) in said.iter().zip(expected) {
        assert!(said.contains(place) && said.contains(word), "{said}");
    }
}
