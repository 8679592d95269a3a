//! The cases of the vectors are in `tests/juju.rs`; here are the rest of the worked examples and the corners between them.

use serde_json::{Value as Json, json};

use super::*;
use crate::import::juju::read_model;

/// Three control planes and three balancers, with `extra` laid over them.
fn explained(extra: Json) -> Explanation {
    let units = |last: u32, bind: bool| -> Vec<Json> {
        let unit = |n: u32| {
            let ingress = format!("10.20.0.{}", last + n);
            let mut unit = json!({"n": n, "public": format!("203.0.113.{}", last + n), "ingress": ingress});
            if bind {
                unit["bind"] = json!(ingress);
            }
            unit
        };
        (0..3).map(unit).collect()
    };
    let mut model = json!({"cp": {"units": units(11, false)}, "lb": {"units": units(21, true)}});
    merge(&mut model, extra);
    explain(&read_model(("model.json", model.to_string().as_bytes()), None).unwrap())
}

fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Json::Null), value));
        }
        (into, from) => *into = from,
    }
}

fn external(explanation: &Explanation) -> Vec<&str> {
    explanation.external.iter().map(|url| url.as_deref().unwrap_or("-")).collect()
}

fn workers(explanation: &Explanation) -> Vec<String> {
    let shown = |choice: &Choice| match choice {
        Choice::Url(url) => url.clone().unwrap_or("-".to_owned()),
        Choice::Arbitrary { one_of } => format!("one of {}", one_of.join(" ")),
    };
    explanation.worker.values().map(shown).collect()
}

/// Row 5 of the worked examples, and the same in O, where only the first address counts.
#[test]
fn addresses_of_hacluster_on_the_control_plane() {
    let vips = json!({"ha_related": true, "ha-cluster-vip": "10.20.0.250 10.20.0.251"});
    let legacy = explained(json!({"era": "L", "cp": vips}));
    let alternate = ["https://10.20.0.250:6443", "https://10.20.0.251:6443", "https://10.20.0.250:6443"];
    assert_eq!(external(&legacy), alternate);
    assert_eq!(workers(&legacy), alternate);
    let operator = explained(json!({"era": "O", "cp": vips}));
    assert_eq!(external(&operator), ["https://10.20.0.250:6443"; 3]);
    assert_eq!(workers(&operator), ["https://10.20.0.250:6443"; 3]);
}

/// Row 7.
#[test]
fn legacy_balancers_publish_all_forced_addresses_at_their_port() {
    let input = json!({
        "era": "L", "worker_kube_api_endpoint": "lb", "cp": {"rel_loadbalancer": "lb"},
        "lb": {"loadbalancer-ips": "10.20.0.251 10.20.0.250", "port": 8443},
    });
    let sorted = ["https://10.20.0.250:8443", "https://10.20.0.251:8443"];
    let explanation = explained(input);
    assert_eq!(explanation.worker_list.as_deref().unwrap(), sorted);
    assert_eq!(external(&explanation), [sorted[0], sorted[1], sorted[0]]);
}

/// Row 8.
#[test]
fn a_forced_address_does_not_reach_workers_related_to_the_balancer() {
    let input = json!({
        "era": "L", "worker_kube_api_endpoint": "lb",
        "cp": {"loadbalancer-ips": "192.168.1.1", "rel_loadbalancer": "lb"},
    });
    let explanation = explained(input);
    assert_eq!(external(&explanation), ["https://192.168.1.1:6443"; 3]);
    let direct = ["https://10.20.0.21:443", "https://10.20.0.22:443", "https://10.20.0.23:443"];
    assert_eq!(workers(&explanation), direct);
}

/// Rows 9 and 10, and who waits: M for whatever is related, L for nothing but its workers' own relation, O for nothing.
#[test]
fn a_silent_balancer() {
    let related = json!({"rel_ext": true, "rel_int": true});
    let up = explained(json!({"era": "M", "cp": related}));
    assert_eq!(external(&up), ["https://203.0.113.21:443"; 3]);
    assert_eq!(workers(&up), ["https://10.20.0.21:6443"; 3]);

    let legacy = json!({"rel_loadbalancer": "lb"});
    let down = json!({"down": true});
    let waiting = explained(json!({"era": "M", "cp": legacy, "lb": down}));
    assert_eq!(external(&waiting), ["-"; 3]);
    assert_eq!(waiting.worker_list.as_deref().unwrap(), [""; 0]);
    assert_eq!(workers(&waiting), ["-"; 3]);

    let own = ["https://203.0.113.11:6443", "https://203.0.113.12:6443", "https://203.0.113.13:6443"];
    let input = json!({"era": "L", "cp": legacy, "lb": down, "worker_kube_api_endpoint": "lb"});
    let passed_over = explained(input);
    assert_eq!(external(&passed_over), own);
    assert_eq!(workers(&passed_over), ["-"; 3]);

    let leak = explained(json!({"era": "O", "cp": related, "lb": down}));
    assert_eq!(external(&leak), own);
    let any = "one of https://10.20.0.11:6443 https://10.20.0.12:6443 https://10.20.0.13:6443";
    assert_eq!(workers(&leak), [any; 3]);
}

#[test]
fn one_relation_serves_both_sides_where_the_other_is_missing() {
    for era in ["M", "O"] {
        let internal_alone = explained(json!({"era": era, "cp": {"rel_int": true}}));
        assert_eq!(external(&internal_alone), ["https://10.20.0.21:6443"; 3]);
        assert_eq!(workers(&internal_alone), ["https://10.20.0.21:6443"; 3]);
        let external_alone = explained(json!({"era": era, "cp": {"rel_ext": true}}));
        assert_eq!(external(&external_alone), ["https://203.0.113.21:443"; 3]);
        assert_eq!(workers(&external_alone), ["https://203.0.113.21:443"; 3]);
    }
}

#[test]
fn legacy_relations_in_the_middle_era() {
    let explanation = explained(json!({"era": "M", "cp": {"rel_loadbalancer": "lb"}}));
    let published = ["https://203.0.113.21:443", "https://203.0.113.22:443", "https://203.0.113.23:443"];
    assert_eq!(external(&explanation), published);
    assert_eq!(explanation.internal_adv, [published; 3]);
    assert_eq!(workers(&explanation), published);

    // The new relations win over the old one, and the workers' own over what they are told.
    let input = json!({
        "era": "M", "worker_kube_api_endpoint": "keepalived",
        "cp": {"rel_loadbalancer": "keepalived", "rel_int": true},
        "keepalived": {"vip": "10.20.0.250/24", "port": 8443},
    });
    let explanation = explained(input);
    assert_eq!(external(&explanation), ["https://10.20.0.21:6443"; 3]);
    assert_eq!(workers(&explanation), ["https://10.20.0.250:8443"; 3]);

    // A worker's own relation that has not answered does not.
    let input = json!({"era": "M", "worker_kube_api_endpoint": "lb", "lb": {"down": true}});
    let own = ["https://10.20.0.11:6443", "https://10.20.0.12:6443", "https://10.20.0.13:6443"];
    assert_eq!(workers(&explained(input)), own);
}

#[test]
fn what_an_era_does_not_have_it_does_not_look_at() {
    let direct = explained(json!({"era": "L"}));
    assert_eq!(explained(json!({"era": "L", "cp": {"rel_ext": true, "rel_int": true}})), direct);
    let direct = explained(json!({"era": "O"}));
    let legacy = json!({"era": "O", "cp": {"rel_loadbalancer": "lb"}, "worker_kube_api_endpoint": "lb"});
    assert_eq!(explained(legacy), direct);
}

/// Row 22.
#[test]
fn brackets_came_with_the_operator_framework() {
    for (era, url) in [
        ("L", "https://fd00:20::250:6443"),
        ("M", "https://fd00:20::250:6443"),
        ("O", "https://[fd00:20::250]:6443"),
    ] {
        let explanation = explained(json!({"era": era, "cp": {"loadbalancer-ips": "fd00:20::250"}}));
        assert_eq!(external(&explanation), [url; 3], "{era}");
        assert_eq!(workers(&explanation), [url; 3], "{era}");
    }
}

/// Rows 19, 20 and 21.
#[test]
fn the_order_of_forced_addresses() {
    let dns = json!({"ha-cluster-dns": "api.k8s.example.com"});
    let unrelated = explained(json!({"era": "O", "cp": dns}));
    assert_eq!(external(&unrelated)[0], "https://203.0.113.11:6443");
    let mut related = json!({"era": "O", "cp": {"ha_related": true}});
    merge(&mut related["cp"], dns);
    assert_eq!(external(&explained(related.clone()))[0], "https://api.k8s.example.com:6443");
    merge(&mut related["cp"], json!({"ha-cluster-vip": "10.20.0.250"}));
    assert_eq!(external(&explained(related.clone()))[0], "https://10.20.0.250:6443");
    merge(&mut related["cp"], json!({"loadbalancer-ips": "192.168.1.1 192.168.2.1", "rel_ext": true}));
    assert_eq!(external(&explained(related))[0], "https://192.168.1.1:6443");
}

#[test]
fn a_balancer_answers_with_its_leaders_address_or_its_first_forced_one() {
    let related = json!({"rel_ext": true, "rel_int": true});
    let explanation = explained(json!({"era": "M", "cp": related, "lb": {"leader": 2}}));
    assert_eq!(external(&explanation), ["https://203.0.113.23:443"; 3]);
    assert_eq!(workers(&explanation), ["https://10.20.0.23:6443"; 3]);
    let dns = json!({"ha_related": true, "ha-cluster-dns": "api.k8s.example.com"});
    let explanation = explained(json!({"era": "O", "cp": related, "lb": dns}));
    assert_eq!(external(&explanation), ["https://api.k8s.example.com:443"; 3]);
    assert_eq!(workers(&explanation), ["https://api.k8s.example.com:6443"; 3]);
}
