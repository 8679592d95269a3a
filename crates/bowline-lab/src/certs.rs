//! Certificates for stand-in servers and test clients: an own authority, with every validity said out loud (the certificate
//! library's own defaults reach from 1975 to 4096 and carry its name).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};

/// Clocks of two machines may differ by this much without a fresh certificate being refused.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);
/// Lifetime of a test certificate: longer than any test or demo, short enough to be useless if it leaks.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// When a certificate is valid, relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// From an hour ago for a week.
    Current,
    /// Ended an hour ago.
    Expired,
    /// Begins in a day.
    Future,
}

impl Validity {
    fn bounds(self, now: SystemTime) -> (SystemTime, SystemTime) {
        match self {
            Self::Current => (now - CLOCK_SKEW, now + LIFETIME),
            Self::Expired => (now - LIFETIME, now - CLOCK_SKEW),
            Self::Future => (now + 24 * CLOCK_SKEW, now + LIFETIME),
        }
    }
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// A certificate authority of its own. Two of them know nothing of each other: the second is a test's *foreign* one.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a fresh P-256 key, valid now.
    ///
    /// # Errors
    /// When the key cannot be made or the certificate not be signed.
    pub fn new(common_name: &str) -> Result<Self, rcgen::Error> {
        let mut params = parameters(common_name, Validity::Current);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's own certificate, PEM: what goes into a CA file.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A serving certificate for these addresses and names.
    ///
    /// # Errors
    /// When a name is not ASCII, or the key or signature cannot be made.
    pub fn server(
        &self,
        common_name: &str,
        addresses: &[IpAddr],
        names: &[&str],
        validity: Validity,
    ) -> Result<Identity, rcgen::Error> {
        let mut params = parameters(common_name, validity);
        params.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
        for name in names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A client certificate; Kubernetes reads the user from the common name.
    ///
    /// # Errors
    /// When the key or signature cannot be made.
    pub fn client(&self, common_name: &str, validity: Validity) -> Result<Identity, rcgen::Error> {
        let mut params = parameters(common_name, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// A client certificate with an organization, which is a Kubernetes group (`system:masters` may do everything).
    ///
    /// # Errors
    /// When the key or signature cannot be made.
    pub fn member(
        &self,
        common_name: &str,
        group: &str,
        validity: Validity,
    ) -> Result<Identity, rcgen::Error> {
        let mut params = parameters(common_name, validity);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Identity, rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn parameters(common_name: &str, validity: Validity) -> CertificateParams {
    let (not_before, not_after) = validity.bounds(SystemTime::now());
    let mut params = CertificateParams::default();
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

#[cfg(test)]
mod tests;
