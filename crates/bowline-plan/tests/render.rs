//! What is rendered: reviewed texts for a few cases, and for every case that what others are to read can be read by them.
//!
//! `BLESS=1 cargo test -p bowline-plan --test render` rewrites `tests/render/CASE.txt`; review it as a diff.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads and writes its cases")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use bowline_plan::render::{self, Cloud, NotRendered};
use bowline_plan::{Cluster, Plan, load, plan};

/// What is shown in full: every mode, both families, and everything that can be given.
const SHOWN: [&str; 10] = [
    "design-example",
    "dual-stack",
    "etcd-behind-a-balancer",
    "not-served-yet",
    "scenario-external",
    "scenario-node-local",
    "scenario-several-vips",
    "scenario-worker-ingress",
    "virtual-mac",
    "virtual-ip-rotation",
];

const CONFIG: &str = "/etc/bowline/cluster.yaml";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The cases that are valid descriptions.
fn cases() -> Vec<(String, Cluster, Plan)> {
    let mut paths: Vec<_> =
        fs::read_dir(folder().join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let cases: Vec<_> = paths
        .into_iter()
        .filter_map(|path| {
            let cluster = load("cluster.yaml", &fs::read(path.join("cluster.yaml")).unwrap()).ok()?;
            let plan = plan(&cluster, 1);
            Some((path.file_name().unwrap().to_str().unwrap().to_owned(), cluster, plan))
        })
        .collect();
    assert!(cases.len() >= 30, "only {} cases found", cases.len());
    cases
}

type Rendered = Vec<(String, Result<String, NotRendered>)>;

/// Everything there is to a case, each node's included.
fn everything(cluster: &Cluster, plan: &Plan) -> Rendered {
    let mut all: Rendered = vec![
        ("sans".to_owned(), Ok(render::sans_text(&plan.sans))),
        ("dns".to_owned(), render::dns(cluster).map(|records| render::dns_text(&records))),
        ("kubeadm".to_owned(), render::kubeadm(cluster, plan, None)),
        ("kubespray".to_owned(), render::kubespray(cluster, plan)),
        ("octavia".to_owned(), render::cloud(cluster, Cloud::Octavia)),
        ("elb".to_owned(), render::cloud(cluster, Cloud::Elb)),
        ("systemd".to_owned(), render::systemd(cluster, plan, None, "/usr/local/bin/bowline", CONFIG)),
        ("static-pod".to_owned(), render::static_pod(cluster, plan, None, "bowline:1", CONFIG)),
    ];
    for (node, part) in &plan.nodes {
        let mut add = |what: &str, text| all.push((format!("{what} of {node}"), text));
        add("hosts", Ok(render::hosts_file_lines(&part.hosts)));
        add("kubeadm", render::kubeadm(cluster, plan, Some(node)));
        add("kubespray", render::kubespray_host(cluster, node));
        add("haproxy", render::haproxy(cluster, plan, node));
        add("keepalived", render::keepalived(cluster, plan, node, Some("eth0")));
    }
    all
}

#[test]
fn what_is_rendered_is_as_blessed() {
    let is_blessing = env::var_os("BLESS").is_some();
    let mut different = Vec::new();
    let mut seen = 0;
    for (name, cluster, plan) in cases().into_iter().filter(|(name, ..)| SHOWN.contains(&name.as_str())) {
        seen += 1;
        let mut text = String::new();
        let mut shown: Vec<(String, String)> = Vec::new();
        for (what, rendered) in everything(&cluster, &plan) {
            let rendered = rendered.unwrap_or_else(|error| format!("not rendered: {error}\n"));
            // Nodes with the same text are shown once.
            let kind = what.split(' ').next().unwrap().to_owned();
            if !rendered.is_empty() && !shown.contains(&(kind.clone(), rendered.clone())) {
                write!(text, "==== {what}\n{rendered}").unwrap();
                shown.push((kind, rendered));
            }
        }
        let path = folder().join("render").join(format!("{name}.txt"));
        if is_blessing {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            different.push(format!("--- {}\n{text}", path.display()));
        }
    }
    assert_eq!(seen, SHOWN.len(), "a case is gone");
    assert!(different.is_empty(), "{}\nBLESS=1 accepts what is new", different.join("\n"));
}

#[test]
fn the_same_plan_gives_the_same_text() {
    for (name, cluster, plan) in cases() {
        assert_eq!(everything(&cluster, &plan), everything(&cluster, &plan), "{name}");
    }
}

/// What kubeadm is told is what the importer of its files understands.
#[test]
fn kubeadm_s_file_says_what_the_plan_says() {
    for (name, cluster, plan) in cases() {
        let Some(control_plane) =
            cluster.with_role(bowline_plan::NodeRole::ControlPlane).next().map(|node| node.name.clone())
        else {
            continue;
        };
        let text = render::kubeadm(&cluster, &plan, Some(&control_plane)).unwrap();
        let imported = bowline_plan::import::kubeadm::import(&[("kubeadm.yaml", text.as_bytes())], &[])
            .unwrap_or_else(|failed| panic!("{name}: {:?}\n{text}", failed.problems));
        let document = imported.description().to_string();
        for san in &plan.sans.apiserver {
            assert!(text.contains(san.as_str()), "{name}: {san}\n{text}");
        }
        assert!(document.contains(&control_plane), "{name}: {document}");
    }
}

/// As in the other tests: the reason appears at the end of `cargo xtask test`.
fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
    if let Some(path) = env::var_os("BOWLINE_TEST_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{}: {reason}", std::thread::current().name().unwrap_or("a test")).unwrap();
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&search)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Every node's text of this kind, in a file each; what several nodes have in common, once.
fn written(kind: &str) -> Vec<(String, PathBuf)> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("render-{kind}"));
    fs::create_dir_all(&scratch).unwrap();
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, cluster, plan) in cases() {
        for (what, text) in everything(&cluster, &plan) {
            if let (true, Ok(text)) = (what.starts_with(kind), text)
                && seen.insert(text.clone())
            {
                let path = scratch.join(format!("{name} {what}"));
                fs::write(&path, text).unwrap();
                files.push((format!("{what} in {name}"), path));
            }
        }
    }
    files
}

#[test]
fn haproxy_takes_what_is_rendered_for_it() {
    let Some(haproxy) = program("haproxy") else { return skip("haproxy is not installed") };
    let files = written("haproxy");
    assert!(files.len() >= 15, "{files:?}");
    for (what, path) in files {
        let output = Command::new(&haproxy).args(["-c", "-f"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("WARNING"), "{what}: {said}");
    }
}

/// A network interface with multicast that is no loopback.
fn link() -> Option<String> {
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let mut links = fs::read_dir("/sys/class/net").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let flags = fs::read_to_string(entry.path().join("flags")).ok()?;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
        (flags & (LOOPBACK | MULTICAST) == MULTICAST).then(|| entry.file_name().into_string().ok())?
    });
    links.next()
}

#[test]
fn keepalived_takes_what_is_rendered_for_it() {
    let Some(keepalived) = program("keepalived") else { return skip("keepalived is not installed") };
    let Some(link) = link() else { return skip("there is no network interface that keepalived would use") };
    let files = written("keepalived");
    assert!(files.len() >= 10, "{files:?}");
    for (what, path) in files {
        let text = fs::read_to_string(&path).unwrap();
        // keepalived looks whether it is there.
        let text: String = text
            .lines()
            .map(|line| match line.trim().starts_with("interface ") {
                true => format!("    interface {link}\n"),
                false => format!("{line}\n"),
            })
            .collect();
        fs::write(&path, text).unwrap();
        let mut command = Command::new(&keepalived);
        command.args(["--config-test", "--log-console", "--use-file"]).arg(&path).stdin(Stdio::null());
        // It signals its process group, for some configurations.
        let output = command.process_group(0).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{what}: {said}{output:?}");
    }
}
