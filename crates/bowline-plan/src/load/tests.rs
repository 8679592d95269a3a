use super::*;

const SMALLEST: &str = "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
                        - {name: cp1, roles: [control-plane], addresses: [10.0.0.11]}\n";

#[test]
fn a_file_too_large_is_refused_unread() {
    let problems = load("x", &vec![b'\xff'; SIZE_LIMIT + 1]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "x: 9 MiB are no description; at most 8 MiB are read; is it the right file?"
    );
}

#[test]
fn a_large_file_is_read() {
    let comment = format!("#{}\n", " ".repeat(SIZE_LIMIT - SMALLEST.len() - 2));
    assert!(load("x", format!("{comment}{SMALLEST}").as_bytes()).is_ok());
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    assert!(load("x", format!("\u{feff}{SMALLEST}").as_bytes()).is_ok());
    assert!(load("x", SMALLEST.replace('\n', "\r\n").as_bytes()).is_ok());
}

#[test]
fn problems_are_limited_and_counted() {
    let fields: String = (0..500).map(|n| format!("x{n}: 1\n")).collect();
    let problems = load("x", format!("{fields}{SMALLEST}").as_bytes()).unwrap_err();
    assert_eq!(problems.len(), source::PROBLEMS_LIMIT + 1);
    assert_eq!(problems.last().unwrap().message, "400 more problems are not shown");
}

#[test]
fn files_are_named_with_their_place() {
    let text = format!("{SMALLEST}  apiServer:\n    caFile: pki/ca.crt\n    tokenFile: /token\n");
    let cluster = load("cluster.yaml", text.as_bytes()).unwrap();
    let files = cluster.files();
    let seen: Vec<_> =
        files.iter().map(|file| (file.file.as_str(), file.path(), file.line(), file.secret)).collect();
    assert_eq!(
        seen,
        [
            ("pki/ca.crt", "spec.apiServer.caFile", Some(7), false),
            ("/token", "spec.apiServer.tokenFile", Some(8), true),
        ]
    );
    assert_eq!(
        files[0].problem("cannot be read", "look").to_string(),
        "cluster.yaml:7: spec.apiServer.caFile: cannot be read; look"
    );
}

#[test]
fn defaults_are_those_of_the_format() {
    let cluster = load("x", SMALLEST.as_bytes()).unwrap();
    let balancing = cluster.balancing();
    let ms = |duration: core::time::Duration| duration.as_millis();
    assert_eq!((ms(balancing.probe_timeout), ms(balancing.handshake_timeout)), (200, 1_000));
    assert_eq!((ms(balancing.stagger_min), ms(balancing.stagger_max), ms(balancing.hold)), (50, 250, 8_000));
    assert_eq!((balancing.fall.get(), balancing.rise.get()), (2, 2));
    assert_eq!((ms(balancing.drain_grace), ms(balancing.drain_timeout)), (30_000, 75_000));
    let keep_alive = balancing.keep_alive;
    assert_eq!((ms(keep_alive.idle), ms(keep_alive.interval), keep_alive.probes.get()), (15_000, 5_000, 3));
    assert_eq!(cluster.admin().to_string(), "127.0.0.1:9643");
    assert_eq!((cluster.api_server().port.get(), cluster.etcd().client_port.get()), (6443, 2379));
    assert_eq!(cluster.kubernetes().service_cidrs[0].to_string(), "10.96.0.0/12");
}
