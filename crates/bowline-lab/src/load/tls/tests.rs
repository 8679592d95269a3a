use super::*;

#[test]
fn the_answer_is_as_long_as_it_says() {
    let text = std::str::from_utf8(ANSWER).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length.parse(), Ok(body.len()));
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
}
