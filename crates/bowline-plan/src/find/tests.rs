use super::*;

fn cluster() -> Cluster {
    let text = "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
        - {name: cp1.example.net, roles: [control-plane], addresses: [10.0.0.11, 10.0.1.11]}\n  \
        - {name: w1, addresses: [10.0.0.21]}\n  \
        - {name: w2.a.example, accessAddress: 10.0.0.22, publicAddress: 192.0.2.22}\n  \
        - {name: w2.b.example}\n";
    crate::load("cluster.yaml", text.as_bytes()).unwrap()
}

fn find(asked: Option<&str>, host_name: &str, own: &[&str]) -> Result<String, String> {
    let is_own = |address: IpAddr| own.contains(&address.to_string().as_str());
    find_node(&cluster(), asked, host_name, &is_own).map(str::to_owned).map_err(|error| error.to_string())
}

#[test]
fn what_is_asked_for_decides() {
    assert_eq!(find(Some("w1"), "cp1", &["10.0.0.11"]), Ok("w1".to_owned()));
    assert_eq!(find(Some("W1"), "", &[]), Ok("w1".to_owned()));
    assert_eq!(
        find(Some("w9"), "w1", &["10.0.0.21"]),
        Err("no node is named w9; use --node with one of: cp1.example.net, w1, w2.a.example, w2.b.example"
            .to_owned())
    );
}

#[test]
fn the_host_name_comes_before_addresses() {
    assert_eq!(find(None, "w1", &["10.0.0.11"]), Ok("w1".to_owned()));
    assert_eq!(find(None, "w2.b.example", &[]), Ok("w2.b.example".to_owned()));
}

#[test]
fn one_of_the_names_may_lack_its_domain() {
    assert_eq!(find(None, "cp1", &[]), Ok("cp1.example.net".to_owned()));
    assert_eq!(find(None, "w1.example.net", &[]), Ok("w1".to_owned()));
    assert!(find(None, "cp1.example.org", &[]).is_err(), "another domain is another host");
    assert_eq!(
        find(None, "w2", &["10.0.0.22"]),
        Err("the host name w2 fits more than one node; use --node with one of: w2.a.example, w2.b.example"
            .to_owned())
    );
}

#[test]
fn an_own_address_decides_when_the_name_does_not() {
    assert_eq!(find(None, "localhost", &["127.0.0.1", "10.0.1.11"]), Ok("cp1.example.net".to_owned()));
    assert_eq!(find(None, "", &["10.0.0.22"]), Ok("w2.a.example".to_owned()));
    assert_eq!(
        find(None, "x", &["10.0.0.11", "10.0.0.21"]),
        Err("addresses of this machine belong to more than one node; use --node with one of: cp1.example.net, w1"
            .to_owned())
    );
    let error = find(None, "x", &["192.0.2.22"]).unwrap_err();
    assert!(error.starts_with("neither the host name x nor an address of this machine"), "{error}");
}

#[test]
fn a_long_list_is_cut() {
    let nodes: Vec<String> = (0..25).map(|n| format!("n{n}")).collect();
    let text = List(&nodes).to_string();
    assert!(text.ends_with("n19 and 5 more"), "{text}");
    assert_eq!(List(&nodes[..1]).to_string(), "n0");
}
