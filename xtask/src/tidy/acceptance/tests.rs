use super::*;

const SOURCE: &str = "\
#[test]
fn plain() {}

#[tokio::test(flavor = \"current_thread\")]
#[ignore]
async fn with_attributes() {}

fn helper() {}
";

#[test]
fn only_functions_that_are_tests_count() {
    assert_eq!(test_names(SOURCE), ["plain", "with_attributes"]);
}

#[test]
fn a_row_without_an_existing_test_is_a_problem() {
    let tests: BTreeSet<String> = test_names(SOURCE).into_iter().collect();
    let good = "| id | what | tests |\n|---|---|---|\n| 0.4 | a | `e2e::plain`, `with_attributes` |\n";
    assert_eq!(problems(good, &tests), Vec::<String>::new());
    assert_eq!(problems("| 0.5 | a | `helper` |", &tests).len(), 1);
    assert_eq!(problems("| 0.5 | a | later |", &tests).len(), 1);
    assert_eq!(problems("no table", &tests).len(), 1);
}
