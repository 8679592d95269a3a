//! A value that cannot be taken in is one problem: nothing else of a good description is complained about for want of it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads its cases")]

use std::fs;
use std::path::Path;

use bowline_plan::load;
use serde_json::{Value, json};

/// A way to a value that is neither list nor mapping, as JSON pointers have it, and as messages have it.
struct Place {
    pointer: String,
    path: String,
}

#[test]
fn a_value_that_is_none_is_the_only_problem_of_a_good_description() {
    let mut tried = 0;
    for (name, description) in descriptions() {
        for place in places(&description) {
            let mut broken = description.clone();
            *broken.pointer_mut(&place.pointer).unwrap() = json!({ "nothing": "like it" });
            let problems = load("cluster.yaml", broken.to_string().as_bytes()).unwrap_err();
            let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
            assert_eq!(paths, [place.path.as_str()], "{name}: {problems:#?}");
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried} values are few");
}

#[test]
fn a_field_that_nobody_knows_is_the_only_problem_but_for_the_one_it_is_missing_for() {
    for (name, description) in descriptions() {
        for place in places(&description) {
            let (parent, field) = place.pointer.rsplit_once('/').unwrap();
            let mut broken = description.clone();
            let Some(fields) = broken.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
            let value = fields.remove(&unescaped(field)).unwrap();
            fields.insert("zzzzzzzzzz".to_owned(), value);
            // In a mapping by the names of nodes it is the name of one.
            if parent.ends_with("/priorities") {
                continue;
            }
            let problems = load("cluster.yaml", broken.to_string().as_bytes()).unwrap_err();
            let others: Vec<_> = problems
                .iter()
                .filter(|problem| problem.message != "unknown field")
                .filter(|problem| !(problem.message == "missing" && problem.path == place.path))
                .collect();
            assert!(others.is_empty(), "{name}, {}: {others:#?}", place.path);
        }
    }
}

/// The cases that are good ones.
fn descriptions() -> Vec<(String, Value)> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let good = cases.into_iter().filter(|case| case.join("plan.json").exists()).map(|case| {
        let text = fs::read_to_string(case.join("cluster.yaml")).unwrap();
        (case.file_name().unwrap().display().to_string(), serde_saphyr::from_str(&text).unwrap())
    });
    let descriptions: Vec<(String, Value)> = good.collect();
    assert!(descriptions.len() >= 30, "only {} cases found", descriptions.len());
    descriptions
}

fn places(description: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    let mut open = vec![(Place { pointer: String::new(), path: String::new() }, description)];
    while let Some((place, value)) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.iter().map(|(key, value)| {
                let pointer = format!("{}/{}", place.pointer, key.replace('~', "~0").replace('/', "~1"));
                let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                let path = match (is_plain, place.path.as_str()) {
                    (true, "") => key.clone(),
                    (true, before) => format!("{before}.{key}"),
                    (false, before) => format!("{before}[{key:?}]"),
                };
                (Place { pointer, path }, value)
            })),
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(index, value)| {
                let pointer = format!("{}/{index}", place.pointer);
                (Place { pointer, path: format!("{}[{index}]", place.path) }, value)
            })),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => places.push(place),
        }
    }
    places
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}
