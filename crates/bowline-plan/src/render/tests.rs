use super::*;

#[test]
fn names_and_addresses_are_told_apart() {
    let sans = Sans {
        apiserver: vec!["api.example.net".to_owned(), "10.0.0.1".to_owned(), "fd00::1".to_owned()],
        etcd: Vec::new(),
    };
    assert_eq!(sans_text(&sans), "apiserver: DNS:api.example.net,IP:10.0.0.1,IP:fd00::1\n");
}
