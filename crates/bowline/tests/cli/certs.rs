//! `bowline certs`, with the CAs that openssl makes and openssl as the judge of what is issued.

use crate::harness::{Bench, GOOD, assert_shown, free, occupied};
use bowline_lab::certs::Authority;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Runs openssl with the words of `line` in the bench's folder, and returns what it prints.
fn openssl(bench: &Bench, line: &str) -> String {
    let output = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(bench.scratch.path())
        .stdin(Stdio::null())
        .output()
        .expect("run openssl");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "openssl {line}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// A description whose caFile nobody has to have.
fn bench() -> Bench {
    Bench::new(GOOD.replace("  apiServer: {caFile: ca.pem}\n", ""))
}

fn certs(bench: &Bench, line: &str) -> String {
    let mut words = vec!["certs"];
    words.extend(line.split(' '));
    let is_about_the_plan = !matches!(words.get(1), Some(&"inspect"));
    if is_about_the_plan {
        words.extend(["--config", "cluster.yaml"]);
    }
    bench.run(&words)
}

fn path(bench: &Bench, name: &str) -> PathBuf {
    bench.scratch.path().join(name)
}

fn assert_exit(shown: &str, code: u8) {
    assert!(shown.contains(&format!("\nexit {code}\n")), "{shown}");
}

/// Makes a CA as `NAME.crt` and `NAME.key` with openssl.
fn make_ca(bench: &Bench, name: &str, key: &str) {
    openssl(
        bench,
        &format!(
            "req -x509 {key} -nodes -keyout {name}.key -out {name}.crt -subj /O=Example/CN={name} -days 3650 -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    );
}

const RSA: &str = "-newkey rsa:2048";
const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const EC_384: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-384";

#[test]
fn openssl_accepts_what_rsa_and_ec_cas_issue_from_every_form_of_key() {
    let bench = bench();
    make_ca(&bench, "rsa", RSA);
    make_ca(&bench, "ec", EC);
    make_ca(&bench, "ec384", EC_384);
    openssl(&bench, "rsa -in rsa.key -traditional -out rsa-pkcs1.key");
    openssl(&bench, "ec -in ec.key -out ec-sec1.key");
    assert!(
        fs::read_to_string(path(&bench, "rsa-pkcs1.key")).expect("a key").contains("BEGIN RSA PRIVATE KEY")
    );
    assert!(fs::read_to_string(path(&bench, "ec-sec1.key")).expect("a key").contains("BEGIN EC PRIVATE KEY"));
    let pairs = [("rsa", "rsa"), ("rsa", "rsa-pkcs1"), ("ec", "ec"), ("ec", "ec-sec1"), ("ec384", "ec384")];
    for (ca, key) in pairs {
        for (kind, key_type) in [("apiserver", "ec"), ("etcd", "rsa")] {
            let out = format!("{key}-{kind}");
            let line = format!(
                "issue {kind} --ca-cert {ca}.crt --ca-key {key}.key --key-type {key_type} --out {out}"
            );
            assert_exit(&certs(&bench, &line), 0);
            let verified = openssl(
                &bench,
                &format!("verify -x509_strict -purpose sslserver -CAfile {ca}.crt {out}/{kind}.crt"),
            );
            assert_eq!(verified, format!("{out}/{kind}.crt: OK\n"));
            assert_exit(&certs(&bench, &format!("check {out}/{kind}.crt --for {kind} --ca {ca}.crt")), 0);
        }
    }
    openssl(&bench, "verify -purpose sslclient -CAfile rsa.crt rsa-etcd/etcd.crt");
}

#[test]
fn a_new_ca_is_made_beside_what_it_issues() {
    let bench = bench();
    assert_shown!("certs-issue", certs(&bench, "issue apiserver --out pki"));
    openssl(
        &bench,
        "verify -x509_strict -verify_hostname api.example.net -CAfile pki/ca.crt pki/apiserver.crt",
    );
    openssl(&bench, "verify -x509_strict -verify_ip 192.0.2.12 -CAfile pki/ca.crt pki/apiserver.crt");
    for (name, mode) in [("pki/apiserver.key", 0o600), ("pki/ca.key", 0o600), ("pki/ca.crt", 0o644)] {
        let found = fs::metadata(path(&bench, name)).expect("written").permissions().mode() & 0o777;
        // A stricter mask of the user's is respected.
        assert_eq!(found & !mode, 0, "{name}: {found:o}");
    }
    let left: Vec<_> = fs::read_dir(path(&bench, "pki")).expect("a folder").collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn nothing_is_replaced_unless_it_is_forced() {
    let bench = bench();
    assert_exit(&certs(&bench, "issue ca --out pki"), 0);
    let before = fs::read(path(&bench, "pki/ca.key")).expect("a key");
    assert_shown!("certs-issue-exists", certs(&bench, "issue apiserver --out pki"));
    assert_eq!(fs::read(path(&bench, "pki/ca.key")).expect("a key"), before);
    assert!(!path(&bench, "pki/apiserver.crt").exists());
    assert_exit(&certs(&bench, "issue apiserver --out pki --force"), 0);
    assert_ne!(fs::read(path(&bench, "pki/ca.key")).expect("a key"), before);
    openssl(&bench, "verify -CAfile pki/ca.crt pki/apiserver.crt");
}

#[test]
fn a_certificate_for_one_node_leaves_the_others_out() {
    let bench = bench();
    assert_exit(&certs(&bench, "issue etcd --node cp2 --out pki"), 0);
    let text = openssl(&bench, "x509 -in pki/etcd.crt -noout -subject -ext subjectAltName");
    assert!(
        text.contains("CN = cp2") && text.contains("192.0.2.12") && !text.contains("192.0.2.11"),
        "{text}"
    );
    assert_shown!("certs-check-node", certs(&bench, "check pki/etcd.crt --for etcd --ca pki/ca.crt"));
    let of_another = certs(&bench, "check pki/etcd.crt --for etcd --node cp1 --ca pki/ca.crt");
    assert_shown!("certs-check-another-node", of_another);
    assert_shown!("certs-issue-no-member", certs(&bench, "issue etcd --node worker1 --out other"));
}

#[test]
fn a_certificate_as_kubeadm_makes_it_lacks_what_the_plan_adds() {
    let bench = bench();
    make_ca(&bench, "kubernetes", RSA);
    let names = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
                 DNS:kubernetes.default.svc.cluster.local,DNS:cp1,IP:10.96.0.1,IP:192.0.2.11";
    bench.write("ext", format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"));
    openssl(&bench, "req -newkey rsa:2048 -nodes -keyout a.key -out a.csr -subj /CN=kube-apiserver");
    openssl(
        &bench,
        "x509 -req -in a.csr -CA kubernetes.crt -CAkey kubernetes.key -CAcreateserial -out a.crt -days 365 -extfile ext",
    );
    assert_shown!("certs-check-kubeadm", certs(&bench, "check a.crt --ca kubernetes.crt"));
}

/// A TLS server of openssl's, ended when dropped.
struct Serving(Child, SocketAddr);

impl Serving {
    fn start(bench: &Bench, line: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(format!("s_server -accept 127.0.0.1:0 {line}").split(' '))
            .current_dir(bench.scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run openssl");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT ")?.parse().ok());
        Self(child, address.expect("where it listens"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn a_served_certificate_is_held_against_the_plan() {
    let bench = bench();
    assert_exit(&certs(&bench, "issue apiserver --out pki"), 0);
    make_ca(&bench, "other", EC);
    let pair = "-cert pki/apiserver.crt -key pki/apiserver.key";
    for line in [
        pair.to_owned(),
        format!("{pair} -tls1_2"),
        format!("{pair} -tls1_2 -Verify 1"),
        format!("{pair} -Verify 1"),
    ] {
        let serving = Serving::start(&bench, &line);
        let shown = certs(&bench, &format!("check https://{} --ca pki/ca.crt", serving.1));
        assert!(shown.contains("exit 0\n") && shown.contains("nothing found"), "{line}: {shown}");
    }
    let serving = Serving::start(&bench, pair);
    let untrusted = certs(&bench, &format!("check https://{} --ca other.crt", serving.1));
    assert!(untrusted.contains("exit 1\n") && untrusted.contains("error [chain-untrusted]"), "{untrusted}");
}

#[test]
fn a_server_without_tls_is_no_finding() {
    let (listener, address) = occupied();
    let bench = bench().replace(address, "[ADDRESS]");
    let answering = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("answer");
    });
    assert_shown!("certs-check-no-tls", certs(&bench, &format!("check https://{address}")));
    answering.join().expect("it answered");
}

#[test]
fn servers_that_cannot_be_asked() {
    let address = free();
    let bench = bench().replace(address, "[ADDRESS]");
    assert_shown!("certs-check-refused", certs(&bench, &format!("check https://{address}")));
    assert_shown!("certs-check-no-https", certs(&bench, "check http://cp1:6443"));
}

#[test]
fn several_certificates_are_inspected() {
    let bench = bench();
    make_ca(&bench, "one", EC);
    make_ca(&bench, "two", RSA);
    let both = [fs::read(path(&bench, "one.crt")), fs::read(path(&bench, "two.crt"))];
    bench.write("both.crt", both.map(|file| file.expect("a certificate")).concat());
    openssl(&bench, "x509 -in one.crt -outform der -out one.der");
    let shown = certs(&bench, "inspect both.crt one.der");
    assert_exit(&shown, 0);
    for line in ["both.crt, certificate 2:", "one.der, certificate 1:", "RSA 2048", "EC P-256", "a CA"] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let fingerprint = openssl(&bench, "x509 -in one.crt -noout -fingerprint -sha256");
    let fingerprint = fingerprint.trim().split('=').nth(1).expect("a fingerprint").to_owned();
    let json = certs(&bench, "inspect both.crt --output json");
    assert!(json.contains(&fingerprint), "{fingerprint} is not in {json}");
}

#[test]
fn files_that_hold_no_certificate() {
    let bench = bench();
    let ca = Authority::new("test CA").expect("a CA").pem();
    bench.write("empty", "");
    bench.write("text", "no certificate at all\n");
    bench.write("half.pem", &ca[..ca.len() / 2]);
    bench.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    bench.write("garbage.der", [0x30, 0x82, 0x01, 0x00, 0xff]);
    bench.write("huge", vec![b'x'; (1 << 20) + 1]);
    make_ca(&bench, "ca", EC);
    let line = "inspect empty text half.pem garbage.pem garbage.der huge ca.key missing .";
    assert_shown!("certs-inspect-bad", certs(&bench, line));
}

#[test]
fn cas_that_cannot_issue() {
    let bench = bench();
    make_ca(&bench, "rsa", RSA);
    make_ca(&bench, "ec", EC);
    let issue = |line: &str| certs(&bench, &format!("issue apiserver --out pki {line}"));
    assert_shown!("certs-ca-other-key", issue("--ca-cert rsa.crt --ca-key ec.key"));
    assert_shown!("certs-ca-no-key", issue("--ca-cert rsa.crt --ca-key rsa.crt"));
    openssl(&bench, "pkey -in ec.key -aes256 -passout pass:secret -out locked.key");
    assert_shown!("certs-ca-locked", issue("--ca-cert ec.crt --ca-key locked.key"));
    openssl(
        &bench,
        "req -x509 -key ec.key -out leaf.crt -subj /CN=leaf -addext basicConstraints=critical,CA:FALSE",
    );
    assert_shown!("certs-ca-leaf", issue("--ca-cert leaf.crt --ca-key ec.key"));
    openssl(&bench, "req -x509 -key ec.key -out twice.crt -subj /OU=a/OU=b/CN=twice");
    assert_shown!("certs-ca-subject", issue("--ca-cert twice.crt --ca-key ec.key"));
    let bound = "req -x509 -key ec.key -out bound.crt -subj /CN=bound -addext nameConstraints=critical,permitted;DNS:example.org";
    openssl(&bench, bound);
    assert_shown!("certs-ca-bound", issue("--ca-cert bound.crt --ca-key ec.key"));
    openssl(&bench, "req -new -key ec.key -out old.csr -subj /CN=old");
    bench.write("ext", "basicConstraints=critical,CA:TRUE\n");
    openssl(&bench, "x509 -req -in old.csr -signkey ec.key -out old.crt -days -1 -extfile ext");
    let shown = issue("--ca-cert old.crt --ca-key ec.key");
    assert_exit(&shown, 2);
    assert!(shown.contains("old.crt: cannot issue certificates: it expired on "), "{shown}");
    assert!(!path(&bench, "pki").exists(), "a refused command wrote something");
}

#[test]
fn places_that_cannot_be_written() {
    let bench = bench();
    assert_shown!("certs-issue-file", certs(&bench, "issue ca --out cluster.yaml"));
    assert_shown!("certs-issue-below-file", certs(&bench, "issue ca --out cluster.yaml/pki"));
}
