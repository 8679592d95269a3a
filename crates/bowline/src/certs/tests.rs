use super::*;
use bowline_plan::Severity;
use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::OnceLock;

/// Some moment; nothing here asks the clock.
const NOW: i64 = 1_800_000_000;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn leaf(sans: &[String]) -> Leaf<'_> {
    Leaf { common_name: "kube-apiserver", sans, is_client: false, key_type: KeyType::Ec, days: 365 }
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")
}

fn authority() -> (Authority, CertificateDer<'static>) {
    let (authority, issued) = Authority::new("kubernetes", KeyType::Ec, 3650, NOW).expect("a CA");
    (authority, der(&issued))
}

fn wanted(sans: &[String]) -> Wanted {
    Wanted {
        target: "apiserver.crt".to_owned(),
        sans: sans.to_vec(),
        advertised: sans.iter().cloned().collect(),
        warn_days: 30,
        ..Wanted::default()
    }
}

/// Codes and severities of what is found, at so many days from now.
fn found(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    wanted: &Wanted,
    days: i64,
) -> Vec<(&'static str, Severity)> {
    let checked = check(chain, authorities, wanted, NOW + days * DAY).expect("a certificate");
    checked.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[test]
fn what_is_issued_passes_until_it_expires() {
    let (authority, ca) = authority();
    let sans = names(&["api.example.net", "*.wild.example.net", "192.0.2.1", "2001:db8::1"]);
    let issued = authority.issue(&leaf(&sans), NOW).expect("issued");
    let (chain, authorities) = ([der(&issued)], [ca]);
    let wanted = wanted(&sans);
    assert_eq!(found(&chain, &authorities, &wanted, 0), []);
    assert_eq!(found(&chain, &authorities, &wanted, 335), []);
    assert_eq!(found(&chain, &authorities, &wanted, 336), [("certificate-expires-soon", Severity::Warning)]);
    assert_eq!(found(&chain, &authorities, &wanted, 366), [("certificate-expired", Severity::Error)]);
    assert_eq!(found(&chain, &authorities, &wanted, -1), [("certificate-not-yet-valid", Severity::Error)]);
    let much_later = found(&chain, &authorities, &wanted, 4_000);
    assert_eq!(much_later, [("certificate-expired", Severity::Error), ("ca-expired", Severity::Error)]);
}

#[test]
fn a_fresh_certificate_is_valid_on_a_machine_whose_clock_is_behind() {
    let (authority, _) = authority();
    let issued = authority.issue(&leaf(&[]), NOW).expect("issued");
    let facts = CertificateFacts::of(&der(&issued), NOW).expect("facts");
    assert_eq!(facts.valid, (NOW - 300, NOW + 365 * DAY));
    assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=kube-apiserver", "CN=kubernetes"));
}

#[test]
fn every_missing_name_is_told_and_matters_if_clients_use_it() {
    let (authority, ca) = authority();
    let issued = authority.issue(&leaf(&names(&["*.example.net", "192.0.2.1"])), NOW).expect("issued");
    let chain = [der(&issued)];
    let check = |sans: &[&str]| found(&chain, std::slice::from_ref(&ca), &wanted(&names(sans)), 0);
    assert_eq!(check(&["api.example.net", "API.Example.NET", "192.0.2.1"]), []);
    let missing = ("san-missing", Severity::Error);
    assert_eq!(check(&["example.net"]), [missing]);
    assert_eq!(check(&["a.b.example.net", "192.0.2.2"]), [missing, missing]);
    let unused = Wanted { sans: names(&["cp1"]), target: "x".to_owned(), ..Wanted::default() };
    assert_eq!(found(&chain, std::slice::from_ref(&ca), &unused, 0), [("san-missing", Severity::Warning)]);
    let asked = Wanted { asked: Some("cp9".to_owned()), ..unused };
    assert_eq!(found(&chain, &[ca], &asked, 0), [missing, ("san-missing", Severity::Warning)]);
}

#[test]
fn another_ca_a_ca_and_a_client_certificate_are_refused() {
    let (authority_a, ca) = authority();
    let (_, other) = authority();
    let issued = authority_a.issue(&leaf(&[]), NOW).expect("issued");
    let untrusted = found(&[der(&issued)], &[other], &wanted(&[]), 0);
    assert_eq!(untrusted, [("chain-untrusted", Severity::Error)]);
    let no_ca = found(&[der(&issued)], &[], &wanted(&[]), 0);
    assert_eq!(no_ca, [("chain-not-checked", Severity::Info)]);
    let as_server = found(std::slice::from_ref(&ca), std::slice::from_ref(&ca), &wanted(&[]), 0);
    assert_eq!(as_server, [("not-a-server-certificate", Severity::Error)]);
    let lab = bowline_lab::certs::Authority::new("lab").expect("a CA");
    let client = lab.client("kubelet", bowline_lab::certs::Validity::Current).expect("a client's");
    let client = CertificateDer::from_pem_slice(client.certificate.as_bytes()).expect("PEM");
    let lab = CertificateDer::from_pem_slice(lab.pem().as_bytes()).expect("PEM");
    let found: Vec<_> = check(&[client], &[lab], &wanted(&[]), now())
        .expect("a certificate")
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(found, ["not-a-server-certificate", "certificate-expires-soon", "ca-expires-soon"]);
}

#[test]
fn a_certificate_never_outlives_its_ca() {
    let (authority, issued) = Authority::new("short", KeyType::Ec, 10, NOW).expect("a CA");
    let leaf = authority.issue(&leaf(&[]), NOW).expect("issued");
    assert_eq!((leaf.not_after, leaf.is_shortened), (issued.not_after, true));
}

#[test]
fn a_name_that_cannot_stand_in_a_certificate_is_named() {
    let (authority, _) = authority();
    let error = authority.issue(&leaf(&names(&["bücher.example"])), NOW).expect_err("not ASCII");
    assert!(error.to_string().starts_with("`bücher.example` cannot stand in a certificate"), "{error}");
}

#[test]
fn every_code_is_explained() {
    let page = include_str!("../../../../docs/certs.md");
    for code in CODES {
        assert!(page.contains(&format!("| `{code}` |")), "docs/certs.md does not explain {code}");
    }
}

#[test]
fn servers_are_written_as_urls() {
    let parsed = |url| Server::parse(url).map(|server| (server.host, server.port));
    let is = |host: &str, port| Ok((host.to_owned(), port));
    assert_eq!(parsed("https://api.example.net"), is("api.example.net", 443));
    assert_eq!(parsed("https://[2001:db8::1]:6443/readyz"), is("2001:db8::1", 6443));
    assert_eq!(parsed("https://192.0.2.1:6443"), is("192.0.2.1", 6443));
    for wrong in [
        "http://x",
        "https://",
        "https://x:0",
        "https://x:70000",
        "https://a@b",
        "https://x y",
        "tcp://x:1",
        "https://:1",
    ] {
        assert!(parsed(wrong).is_err(), "{wrong} is accepted");
    }
}

/// A certificate with everything in it, and its PEM.
fn sample() -> &'static (Vec<u8>, String) {
    static SAMPLE: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let sans = names(&["api.example.net", "*.example.net", "192.0.2.1", "2001:db8::1"]);
        let issued = authority().0.issue(&leaf(&sans), NOW).expect("issued");
        (der(&issued).to_vec(), issued.certificate)
    })
}

/// Reads `bytes` in every way in which a file is read.
fn read_all(bytes: &[u8]) {
    if let Ok(found) = certificates_in("some file", bytes) {
        let sans = names(&["api.example.net", "192.0.2.1"]);
        for certificate in &found {
            let facts = CertificateFacts::of(certificate, NOW);
            if let Ok(facts) = facts {
                assert!(!facts.subject.chars().any(char::is_control));
            }
        }
        // Whatever it finds, it ends.
        let _verdict = check(&found, &found, &wanted(&sans), NOW);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_der_ends_the_program(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<Option<prop::sample::Index>>()) {
        let mut bytes = sample().0.clone();
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
        let encoded = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(&bytes));
        read_all(encoded.as_bytes());
    }

    #[test]
    fn no_mutated_pem_ends_the_program(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = sample().1.clone().into_bytes();
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        read_all(&bytes);
    }

    #[test]
    fn no_bytes_end_the_program(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
