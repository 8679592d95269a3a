//! Descriptions of Juju, kubeadm, HAProxy and keepalived.

use crate::harness::{Bench, GOOD, assert_shown};

/// The files that the importers' own tests read.
macro_rules! foreign {
    ($path:literal) => {
        include_str!(concat!("../../../bowline-plan/tests/", $path))
    };
}

#[test]
fn a_bundle_becomes_a_description_that_plans() {
    let bench = Bench::new(GOOD);
    bench.write("bundle.yaml", foreign!("vectors/charmed-bundle.yaml"));
    bench.write("status.json", foreign!("vectors/charmed-status.json"));
    let import = ["import", "juju", "bundle.yaml", "--status", "status.json"];
    assert_shown!("import-juju", bench.run(&[&import[..], &["-o", "new.yaml"]].concat()));
    assert_shown!("import-juju-endpoints", bench.run(&["endpoints", "--config", "new.yaml"]));
    assert_shown!("explain-juju", bench.run(&[&import[..], &["--explain", "--era", "M"]].concat()));
    assert_shown!("import-juju-no-status", bench.run(&["import", "juju", "bundle.yaml"]));
}

#[test]
fn a_model_is_explained() {
    let bench = Bench::new(GOOD);
    bench.write("model.json", foreign!("corpus/juju/model.json"));
    let explain = ["import", "juju", "--model", "model.json", "--explain"];
    assert_shown!("explain-juju-model", bench.run(&explain));
    assert_shown!("explain-juju-model-json", bench.run(&[&explain[..], &["--output", "json"]].concat()));
    assert_shown!("explain-juju-model-alone", bench.run(&["import", "juju", "--model", "model.json"]));
}

#[test]
fn what_kubeadm_is_told() {
    let bench = Bench::new(GOOD);
    bench.write("kubeadm.yaml", foreign!("corpus/kubeadm/documented.yaml"));
    bench.write("map.yaml", foreign!("corpus/kubeadm/config-map.yaml"));
    assert_shown!("import-kubeadm", bench.run(&["import", "kubeadm", "kubeadm.yaml"]));
    assert_shown!("import-kubeadm-no-machine", bench.run(&["import", "kubeadm", "map.yaml"]));
    let machines = ["import", "kubeadm", "map.yaml", "--control-plane", "cp1=10.0.0.11,fd00::11"];
    assert_shown!("import-kubeadm-machines", bench.run(&machines));
    let nameless = ["import", "kubeadm", "map.yaml", "--control-plane", "10.0.0.11"];
    assert_shown!("import-kubeadm-bad-machine", bench.run(&nameless));
}

#[test]
fn what_stands_before_the_api_servers() {
    let bench = Bench::new(GOOD);
    bench.write("haproxy.cfg", foreign!("corpus/haproxy/documented.cfg"));
    bench.write("guide.cfg", foreign!("corpus/haproxy/kubeadm-guide.cfg"));
    bench.write("keepalived.conf", foreign!("corpus/keepalived/kubeadm-guide.conf"));
    assert_shown!("import-haproxy", bench.run(&["import", "haproxy", "haproxy.cfg"]));
    let together = ["import", "keepalived", "keepalived.conf", "--haproxy", "guide.cfg"];
    assert_shown!("import-keepalived", bench.run(&together));
    assert_shown!("import-keepalived-alone", bench.run(&["import", "keepalived", "keepalived.conf"]));
    bench.write("haproxy.cfg", "listen api\n  bind $VIP:6443\n  server cp1 10.0.0.11\n");
    assert_shown!("import-haproxy-bad", bench.run(&["import", "haproxy", "haproxy.cfg"]));
}
