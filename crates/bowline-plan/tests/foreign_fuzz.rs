//! Fuzz targets of the importers that read single files: each takes any bytes, on a committed corpus and on what proptest
//! makes of it. `corpus/juju`, `corpus/kubeadm`, `corpus/haproxy` and `corpus/keepalived` hold the inputs.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads its corpus")]

use std::fs;
use std::path::Path;

use bowline_plan::import::front::{self, Sources};
use bowline_plan::import::juju::{self, Era};
use bowline_plan::import::{ImportFailed, Imported, Machine, MachineRole, kubeadm};
use bowline_plan::{Problem, lint, plan, spof};
use proptest::prelude::*;
use proptest::sample::Index;

mod work;

const BUNDLE: &str = include_str!("vectors/charmed-bundle.yaml");
const STATUS: &str = include_str!("vectors/charmed-status.json");

fn judge(result: Result<Imported, ImportFailed>) {
    match result {
        Ok(imported) => {
            let cluster = imported.cluster();
            let plan = plan(cluster, 1);
            lint(cluster, &plan);
            spof(cluster, &plan);
            let lines = imported.remarks().iter().map(ToString::to_string);
            lines.for_each(|line| assert!(!line.contains(['\n', '\r']), "more than one line: {line:?}"));
        }
        Err(failed) => judge_problems(&failed.problems),
    }
}

fn judge_problems(problems: &[Problem]) {
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
        let line = problem.to_string();
        assert!(!line.contains(['\n', '\r']), "more than one line: {line:?}");
        assert!(!line.contains("bug in bowline"), "{line}");
    }
}

fn juju_model(bytes: &[u8]) {
    match juju::read_model(("model.json", bytes), None) {
        Ok(model) => drop(serde_json::to_string(&juju::explain(&model)).unwrap()),
        Err(problems) => judge_problems(&problems),
    }
}

fn juju_import(bundle: &[u8], status: &[u8]) {
    for era in [None, Some(Era::L), Some(Era::O)] {
        match juju::import(&[("bundle.yaml", bundle)], Some(("status.json", status)), era) {
            Ok(bundle) => {
                serde_json::to_string(&juju::explain(&bundle.model)).unwrap();
                judge(bundle.imported);
            }
            Err(failed) => judge_problems(&failed.problems),
        }
    }
}

fn juju_bundle(bytes: &[u8]) {
    juju_import(bytes, STATUS.as_bytes());
    juju_import(bytes, include_bytes!("corpus/juju/status-containers.json"));
}

fn juju_status(bytes: &[u8]) {
    juju_import(BUNDLE.as_bytes(), bytes);
}

fn kubeadm_configuration(bytes: &[u8]) {
    judge(kubeadm::import(&[("kubeadm.yaml", bytes)], &[]));
    judge(kubeadm::import(&[("kubeadm.yaml", bytes)], &machines()));
}

fn machines() -> Vec<Machine> {
    let machines =
        [("cp1=10.0.0.11", MachineRole::ControlPlane), ("lb1=10.0.0.21", MachineRole::LoadBalancer)];
    machines.map(|(text, role)| Machine::parse(text, role).unwrap()).to_vec()
}

fn haproxy(bytes: &[u8]) {
    judge(front::import(Sources { haproxy: Some(("haproxy.cfg", bytes)), ..Sources::default() }));
}

fn keepalived(bytes: &[u8]) {
    let keepalived = [("keepalived.conf", bytes)];
    judge(front::import(Sources { keepalived: &keepalived, machines: &machines(), ..Sources::default() }));
    let haproxy = Some(("haproxy.cfg", include_bytes!("corpus/haproxy/kubeadm-guide.cfg").as_slice()));
    judge(front::import(Sources { haproxy, keepalived: &keepalived, ..Sources::default() }));
}

type Target = fn(&[u8]);

/// Every target with the folder of its corpus.
const TARGETS: [(&str, Target); 6] = [
    ("juju", juju_model),
    ("juju", juju_bundle),
    ("juju", juju_status),
    ("kubeadm", kubeadm_configuration),
    ("haproxy", haproxy),
    ("keepalived", keepalived),
];

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|input| input.unwrap().path()).collect();
    paths.sort();
    let mut inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(inputs.len() >= 2, "only {} inputs found", inputs.len());
    if paths[0].to_string_lossy().contains("juju") {
        inputs.extend([BUNDLE.into(), STATUS.into()]);
    }
    inputs
}

#[test]
fn the_corpus_and_every_beginning_of_it() {
    for (folder, target) in TARGETS {
        for input in corpus(folder) {
            target(&input);
            (0..input.len()).step_by(1 + input.len() / 100).for_each(|length| target(&input[..length]));
        }
    }
}

/// What replaces a piece of an input: bytes that mean something to one of the parsers, or any.
fn replacement() -> impl Strategy<Value = Vec<u8>> {
    let tokens = [
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "\\",
        "#",
        "!",
        "$X",
        "\n",
        "\n\n",
        "---\n",
        ": ",
        "- ",
        "null",
        "0",
        "-1",
        "256",
        "99999999999999999999",
        "10.0.0.11",
        "10.20.0.11",
        "10.0.0.100/24",
        "::",
        "fe80::1",
        "\u{feff}",
        "\0",
        "ä",
        "bind *:6443",
        "server a 10.0.0.11:6443\n",
        "vrrp_instance x {\n",
        "virtual_ipaddress {\n",
        "kind: JoinConfiguration",
        "kubernetes-control-plane",
        "kubeapi-load-balancer",
        "loadbalancer-ips: ",
        "units",
        "machines",
        "\u{2028}",
    ];
    let token = prop::sample::select(tokens.to_vec()).prop_map(|token| token.as_bytes().to_vec());
    prop_oneof![4 => token, 1 => prop::collection::vec(any::<u8>(), 1..8)]
}

#[test]
fn mutations_of_the_corpus() {
    for (folder, target) in TARGETS {
        let edits = prop::collection::vec((any::<Index>(), 0..30_usize, replacement()), 1..5);
        let corpus = corpus(folder);
        let config = ProptestConfig { cases: 300, ..ProptestConfig::default() };
        proptest!(config, |(input in any::<Index>(), edits in edits)| {
            let mut bytes = corpus[input.index(corpus.len())].clone();
            for (start, length, replacement) in edits {
                let start = start.index(bytes.len() + 1);
                let end = (start + length).min(bytes.len());
                bytes.splice(start..end, replacement);
            }
            target(&bytes);
        });
    }
}

/// Bytes of the smaller of two long inputs.
const LONG: usize = 16 << 10;

#[test]
fn long_inputs() {
    for (name, target) in TARGETS {
        for piece in [
            "a",
            "{",
            "[",
            "a {\n",
            "\n",
            "- ",
            "a: 1\n",
            "listen a\n",
            "server a 10.0.0.11:6443\n",
            "---\n",
            "}",
            "\"a\" ",
        ] {
            work::assert_linear(&format!("{name}: {piece:?}"), LONG / piece.len(), &mut |count| {
                target(piece.repeat(count).as_bytes());
            });
        }
    }
}
