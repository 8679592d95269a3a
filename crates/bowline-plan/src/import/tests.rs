use super::*;
use crate::description::{Node, Role};

fn node(name: &str, addresses: &[&str]) -> Node {
    Node {
        name: Some(name.to_owned()),
        roles: Some(vec![Role::ControlPlane, Role::Etcd]),
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        ..Node::default()
    }
}

#[test]
fn a_draft_is_written_in_the_order_of_the_format() {
    let mut draft = Draft::new();
    draft.spec.kubernetes.version = Some("1.32".to_owned());
    draft.spec.nodes = Some(vec![node("cp1", &["10.0.0.11", "fd00::11"])]);
    draft.spec.certificates.extra_sans = vec!["*.example.net".to_owned(), "k8s.example.net".to_owned()];
    let imported = draft.finish("a\nb").unwrap();
    assert_eq!(
        imported.yaml(),
        "# Imported from a\\nb.\napiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  kubernetes:\n    \
         version: \"1.32\"\n  nodes:\n  - name: cp1\n    roles: [control-plane, etcd]\n    \
         addresses: [10.0.0.11, \"fd00::11\"]\n  certificates:\n    extraSANs: [\"*.example.net\", k8s.example.net]\n"
    );
    assert_eq!(imported.cluster().nodes().len(), 1);
    assert_eq!(imported.description()["spec"]["nodes"][0]["name"], "cp1");
}

#[test]
fn text_that_could_be_taken_for_something_else_is_quoted() {
    let mut draft = Draft::new();
    draft.spec.nodes = Some(vec![node("on", &["10.0.0.11"]), node("1", &["10.0.0.12"])]);
    draft.spec.balancing.hold = Some(crate::description::DurationText("8s".to_owned()));
    let imported = draft.finish("").unwrap();
    assert!(imported.yaml().contains("- name: \"on\"\n"), "{}", imported.yaml());
    assert!(imported.yaml().contains("- name: \"1\"\n"));
    assert!(imported.yaml().contains("hold: 8s\n"));
}

#[test]
fn what_is_wrong_is_told_where_it_came_from() {
    let mut draft = Draft::new();
    draft.spec.nodes = Some(vec![node("cp1", &["10.0.0.11"]), node("cp2", &["10.0.0.11"])]);
    draft.came_from("spec.nodes[1]", &Place::new("hosts.ini", 7));
    draft.remark(RemarkKind::Assumed, &Place::new("hosts.ini", None), "something");
    let failed = draft.finish("hosts.ini").unwrap_err();
    let lines: Vec<String> = failed.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        ["hosts.ini:7: spec.nodes[1].addresses[0]: 10.0.0.11 is an address of node cp1 already; \
          give every node its own addresses"]
    );
    assert_eq!(failed.remarks.len(), 1);
}
