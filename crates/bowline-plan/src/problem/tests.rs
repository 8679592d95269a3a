use super::*;

#[test]
fn a_problem_is_one_line_whatever_it_names() {
    let problem = Problem {
        file: "cluster.yaml".to_owned(),
        line: Some(3),
        column: Some(1),
        path: "spec".to_owned(),
        message: "no charm a\nb\u{1b}[0m in \u{e4}".to_owned(),
        remedy: "give\tone\r\n".to_owned(),
    };
    assert_eq!(
        problem.to_string(),
        "cluster.yaml:3: spec: no charm a\\nb\\u{1b}[0m in \u{e4}; give\\tone\\r\\n"
    );
}
