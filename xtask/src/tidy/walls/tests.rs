use super::*;
use serde_json::json;

fn problems(package: &str, dependencies: Value) -> Vec<String> {
    package_problems(&json!({"name": package, "dependencies": dependencies})).unwrap()
}

#[test]
fn a_pure_crate_may_not_reach_the_system() {
    assert_eq!(
        problems("bowline-pool", json!([{"name": "bowline-sansio", "kind": null}])),
        Vec::<String>::new()
    );
    let found = problems(
        "bowline-pool",
        json!([{"name": "bowline-sys", "kind": null}, {"name": "tokio", "kind": "dev"}]),
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("bowline-sys") && found[1].contains("dev-dependency `tokio`"), "{found:?}");
}

#[test]
fn a_test_crate_is_no_product_dependency_and_nothing_has_a_build_dependency() {
    assert!(problems("bowline-plan", json!([{"name": "insta", "kind": "dev"}])).is_empty());
    assert_eq!(problems("bowline-plan", json!([{"name": "insta", "kind": null}])).len(), 1);
    assert_eq!(problems("bowline-plan", json!([{"name": "serde", "kind": "build"}])).len(), 1);
}

#[test]
fn an_unknown_crate_needs_a_row() {
    assert_eq!(problems("bowline-new", json!([])).len(), 1);
}
