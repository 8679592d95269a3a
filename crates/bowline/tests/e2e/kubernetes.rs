//! Real kube-apiservers behind the balancer, kubectl as the client. Runs where `KUBEBUILDER_ASSETS` names a folder with
//! `kube-apiserver`, `etcd` and `kubectl` (the convention of envtest); releases from 1.30 on.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bowline_lab::certs::{Authority, Identity, Validity};
use bowline_lab::outage::{Client, Settings};

use crate::harness::{
    Cluster, Daemon, PATIENCE, Process, Scratch, free_port, loopback, output, skip, wait_for,
};
use crate::outage::{observe, sound, told, warm};

const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// An API server builds its storage and its post-start hooks before it is ready.
const START_MAX: Duration = Duration::from_secs(90);

/// How long a fault is watched.
const OBSERVED: Duration = Duration::from_secs(5);

/// Three API servers on one etcd, and what a client needs.
struct Kubernetes {
    servers: Vec<Process>,
    _etcd: Process,
    assets: PathBuf,
    authority: Authority,
    ca: PathBuf,
    admin: (PathBuf, PathBuf),
    addresses: Vec<IpAddr>,
    port: u16,
}

impl Kubernetes {
    fn start(scratch: &Scratch, assets: &Path, balancer: IpAddr) -> Kubernetes {
        let authority = Authority::new("kubernetes-ca").expect("make a certificate authority");
        let ca = scratch.file("ca.crt", &authority.pem());
        let admin =
            authority.member("admin", "system:masters", Validity::Current).expect("make a certificate");
        let admin = pair(scratch, "admin", &admin);
        let signer = authority.client("service-accounts", Validity::Current).expect("make a certificate");
        let signer = pair(scratch, "service-accounts", &signer);
        let (etcd, etcd_url) = start_etcd(scratch, assets);
        let addresses: Vec<IpAddr> = (1..=3).map(|last| loopback(6, last)).collect();
        let port = free_port(&addresses);
        let start = |(index, address): (usize, &IpAddr)| {
            let name = format!("cp{}", index + 1);
            let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", &name];
            let serving = authority.server(&name, &[*address, balancer], &names, Validity::Current);
            let (certificate, key) = pair(scratch, &name, &serving.expect("make a certificate"));
            let mut server = Command::new(assets.join("kube-apiserver"));
            server.args(["--etcd-servers", &etcd_url, "--etcd-prefix", "/registry"]);
            server.args(["--bind-address", &address.to_string(), "--secure-port", &port.to_string()]);
            // Nobody is told this address: the list of API servers is not kept. A loopback address would be refused.
            server.args(["--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none"]);
            server.args(["--service-cluster-ip-range", "10.96.0.0/24", "--authorization-mode", "Node,RBAC"]);
            server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
            server.arg("--service-account-key-file").arg(&signer.0);
            server.arg("--service-account-signing-key-file").arg(&signer.1);
            server.arg("--client-ca-file").arg(&ca).arg("--tls-cert-file").arg(certificate);
            server.arg("--tls-private-key-file").arg(key).arg("--cert-dir").arg(scratch.path());
            Process::start(scratch.path(), &name, &mut server)
        };
        let servers = addresses.iter().enumerate().map(start).collect();
        Kubernetes { servers, _etcd: etcd, assets: assets.to_owned(), authority, ca, admin, addresses, port }
    }

    /// kubectl as the administrator through `address`, its words to be added.
    fn kubectl(&self, scratch: &Scratch, address: SocketAddr) -> Command {
        let mut kubectl = Command::new(self.assets.join("kubectl"));
        kubectl.env("KUBECONFIG", "/dev/null").env("HOME", scratch.path());
        kubectl.args(["--server", &format!("https://{address}"), "--request-timeout", "15s"]);
        kubectl.arg("--certificate-authority").arg(&self.ca);
        kubectl.arg("--client-certificate").arg(&self.admin.0).arg("--client-key").arg(&self.admin.1);
        kubectl
    }
}

fn start_etcd(scratch: &Scratch, assets: &Path) -> (Process, String) {
    let address = loopback(6, 100);
    let (client, peer) = (free_port(&[address]), free_port(&[address]));
    let (client, peer) = (format!("http://{address}:{client}"), format!("http://{address}:{peer}"));
    let mut etcd = Command::new(assets.join("etcd"));
    etcd.args(["--name", "one", "--data-dir"]).arg(scratch.path().join("etcd"));
    etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    etcd.args(["--initial-cluster", &format!("one={peer}")]);
    (Process::start(scratch.path(), "etcd", &mut etcd), client)
}

fn pair(scratch: &Scratch, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
    let certificate = scratch.file(&format!("{name}.crt"), &identity.certificate);
    (certificate, scratch.file(&format!("{name}.key"), &identity.key))
}

#[test]
fn kubectl_works_while_real_api_servers_are_killed_and_stopped() {
    let Some(assets) = std::env::var_os(ASSETS).map(PathBuf::from) else {
        return skip("KUBEBUILDER_ASSETS is not set: no real kube-apiserver");
    };
    observe("kubernetes", |scratch| {
        let balancer = loopback(2, 1);
        let mut kubernetes = Kubernetes::start(scratch, &assets, balancer);
        let names = (1..=3).map(|number| format!("cp{number}"));
        let daemon = Daemon::start(
            scratch,
            Cluster {
                servers: names.zip(kubernetes.addresses.iter().copied()).collect(),
                server_port: kubernetes.port,
                balancers: vec![("lb1".to_owned(), balancer)],
                listen: SocketAddr::new(balancer, free_port(&[balancer])),
                admin: SocketAddr::new(loopback(0, 1), free_port(&[loopback(0, 1)])),
                ca_file: Some(kubernetes.ca.clone()),
                balancing: String::new(),
            },
        );
        wait_for("three ready API servers", START_MAX, || {
            kubernetes.servers.iter_mut().for_each(Process::must_run);
            (daemon.graded("ready").len() == 3).then_some(())
        });
        let address = daemon.address();
        // The namespace it goes into is made by the servers themselves a moment after they are ready.
        wait_for("the first write", START_MAX, || {
            let words = ["create", "configmap", "seen", "--from-literal", "number=0"];
            let done = kubernetes.kubectl(scratch, address).args(words).output().expect("run kubectl");
            done.status.success().then_some(())
        });
        let watch = Process::start(
            scratch.path(),
            "watch",
            kubernetes.kubectl(scratch, address).args([
                "get",
                "configmaps",
                "--watch",
                "--output",
                "name",
                "--request-timeout",
                "0",
            ]),
        );
        wait_for("the watch's first line", PATIENCE, || watch.log().contains("seen").then_some(()));

        let mut settings = Settings::new(address, kubernetes.authority.pem());
        settings.server_name = "kubernetes".to_owned();
        settings.watch_path = "/api/v1/namespaces/default/configmaps?watch=1".to_owned();
        // Its long connections would need the administrator's certificate.
        (settings.talking, settings.silent) = (0, 0);
        for (name, stop) in [("killed", "KILL"), ("stopped", "TERM")] {
            let client = warm(Client::start(settings.clone()).expect("start the outage client"))?;
            let mut gone = kubernetes.servers.pop().expect("a server to end");
            let began = Instant::now();
            gone.signal(stop);
            let complete = Instant::now();
            let kubectl = |words: &[&str]| output(kubernetes.kubectl(scratch, address).args(words));
            kubectl(&["create", "configmap", name]);
            assert!(kubectl(&["get", "configmaps", "--output", "name"]).contains(name));
            std::thread::sleep(OBSERVED.saturating_sub(complete.elapsed()));
            let report = told(name, sound(client)?.report(began, complete));
            assert_eq!(report.figures.failed, 0, "{report:?}");
            gone.wait(START_MAX);
        }
        Ok(())
    });
}
