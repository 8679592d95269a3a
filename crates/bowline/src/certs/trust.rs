//! Whether a chain leads to an authority.

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, RootCertStore};
use std::time::Duration;

/// Whether `leaf` is signed by one of `authorities`, over `intermediates` where needed, as a client at the time `at` (seconds
/// since 1970) would find; the text says why not.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    at: i64,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority.clone().into_owned())
            .map_err(|error| format!("a certificate of the CA cannot be used: {}", reason(&error)))?;
    }
    let parsed = ParsedCertificate::try_from(leaf).map_err(|error| reason(&error))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
    let algorithms = default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, at, algorithms)
        .map_err(|error| reason(&error))
}

/// The verdict in words. `CertificateError` is not ours and grows, hence the last arms.
fn reason(error: &TlsError) -> String {
    let TlsError::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        CertificateError::UnknownIssuer => "it is not signed by the CA".to_owned(),
        CertificateError::BadSignature => "its signature is not the CA's".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "a certificate between it and the CA has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "a certificate between it and the CA is not valid yet".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed by another kind of key than the CA's, or by one that clients do not take".to_owned()
        }
        CertificateError::Other(error) => error.0.to_string(),
        error => error.to_string(),
    }
}
