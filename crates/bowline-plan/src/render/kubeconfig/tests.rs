use super::*;

const OLD: &str = "https://10.0.0.9:6443";
const NEW: &str = "https://api.example.net:443";

fn rewritten(text: &str, cluster: Option<&str>, url: &str) -> String {
    Kubeconfig::read("admin.conf", text.as_bytes(), cluster).unwrap().with_server(url).unwrap()
}

fn refused(text: &str, cluster: Option<&str>) -> String {
    Kubeconfig::read("admin.conf", text.as_bytes(), cluster).unwrap_err().to_string()
}

const TWO: &str = "\
# by hand: keep
apiVersion: v1
clusters:
- {name: \u{e4}lt, cluster: {server: 'https://10.0.0.8:6443'}}
- cluster:
    certificate-authority-data: QUJD   # not to be touched
    server:   https://10.0.0.9:6443   # trailing
  name: new
contexts: [{name: c, context: {cluster: new, user: u}}]
current-context: c
users: []
";

#[test]
fn the_server_changes_and_no_other_byte_does() {
    assert_eq!(rewritten(TWO, None, NEW), TWO.replace(OLD, NEW));
    assert_eq!(rewritten(TWO, Some("\u{e4}lt"), NEW), TWO.replace("https://10.0.0.8:6443", NEW));
    for variant in [
        TWO.replace('\n', "\r\n"),
        format!("\u{feff}{TWO}"),
        TWO.replace(OLD, &format!("\"{OLD}\"")),
        TWO.trim_end().to_owned(),
    ] {
        assert_eq!(rewritten(&variant, None, NEW), variant.replace(OLD, NEW));
    }
}

#[test]
fn it_may_be_json() {
    let json = r#"{"clusters": [{"cluster": {"server": "https://10.0.0.9:6443"}, "name": "a"}]}"#;
    assert_eq!(rewritten(json, None, NEW), json.replace(OLD, NEW));
}

#[test]
fn an_address_in_brackets_is_quoted_where_it_was_plain() {
    let flow = "clusters: [{name: a, cluster: {server: https://10.0.0.9:6443}}]\n";
    let v6 = "https://[fd00::1]:6443";
    assert_eq!(rewritten(flow, None, v6), flow.replace(OLD, &format!("\"{v6}\"")));
    assert_eq!(rewritten(&rewritten(flow, None, v6), None, v6), flow.replace(OLD, &format!("\"{v6}\"")));
}

#[test]
fn a_new_one_can_be_rewritten() {
    let description = b"apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{name: cp1, roles: [control-plane], addresses: [10.0.0.1]}]\n";
    let cluster = crate::load("cluster.yaml", description).unwrap();
    let text = new_kubeconfig(&cluster, OLD);
    let read = Kubeconfig::read("new", text.as_bytes(), None).unwrap();
    assert_eq!(read.server(), OLD);
    assert_eq!(rewritten(&text, None, NEW), new_kubeconfig(&cluster, NEW));
}

#[test]
fn what_is_no_kubeconfig_is_said_to_be_none() {
    let told = [
        refused("", None),
        refused("kind: Config", None),
        refused("clusters: [", None),
        refused("clusters: [{name: a, cluster: {}}]", None),
        refused("clusters: [{name: a, cluster: {server: [x]}}]", None),
        refused("clusters:\n- name: a\n  cluster:\n    server: \"https:\\/\\/a\"\n", None),
        refused("clusters: [{name: a}, {name: b}]", None),
        refused(TWO, Some("none")),
    ];
    let expected = [
        "admin.conf: nothing is in it; name a kubeconfig",
        "admin.conf:1: no cluster is in it; is it a kubeconfig?",
    ];
    assert_eq!(told[..2], expected);
    assert!(told[2].starts_with("admin.conf:"), "{}", told[2]);
    let expected = [
        "admin.conf:1: the cluster a has no server; give it the line `server: URL`",
        "admin.conf:1: the server is no text; write a URL",
        "admin.conf:4: the server is written in a way that is not replaced; write it as one plain or quoted URL",
        "admin.conf:1: it has several clusters and no current context; name one with --cluster: a, b",
        "admin.conf:2: no cluster is called none; it has \u{e4}lt, new",
    ];
    assert_eq!(told[3..], expected);
}
