use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What a client with `authority` as its only root says to `identity` presented under `name`.
fn verdict(authority: &Authority, identity: &Identity, name: &str) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("CA PEM"))
        .expect("CA as a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("verifier");
    let leaf = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("leaf PEM");
    let name = ServerName::try_from(name.to_owned()).expect("server name");
    verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()).map(|_| ())
}

#[test]
fn a_current_certificate_is_good_for_its_address_and_name_only() {
    let authority = Authority::new("test CA").expect("authority");
    let identity = authority.server("cp1", &[ADDRESS], &["cp1.test"], Validity::Current).expect("server");
    assert_eq!(verdict(&authority, &identity, "127.0.0.2"), Ok(()));
    assert_eq!(verdict(&authority, &identity, "cp1.test"), Ok(()));
    assert!(matches!(
        verdict(&authority, &identity, "127.0.0.3"),
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
    ));
}

#[test]
fn expired_future_and_foreign_certificates_are_refused_for_that_reason() {
    let authority = Authority::new("test CA").expect("authority");
    let foreign = Authority::new("foreign CA").expect("authority");
    let issue = |validity| authority.server("cp1", &[ADDRESS], &[], validity).expect("server");
    assert!(matches!(
        verdict(&authority, &issue(Validity::Expired), "127.0.0.2"),
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
    assert!(matches!(
        verdict(&authority, &issue(Validity::Future), "127.0.0.2"),
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))
    ));
    assert!(matches!(
        verdict(&foreign, &issue(Validity::Current), "127.0.0.2"),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    ));
}

#[test]
fn a_client_certificate_does_not_serve() {
    let authority = Authority::new("test CA").expect("authority");
    let identity = authority.client("kubelet", Validity::Current).expect("client");
    assert!(verdict(&authority, &identity, "127.0.0.2").is_err());
}
