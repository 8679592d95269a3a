//! Issues certificates: everything in them is said here, nothing is left to the library's defaults (they reach from 1975 to
//! 4096 and carry its name).

use super::check::Moment;
use super::facts::{self, CertificateFacts};
use super::{DAY, read, trust};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SanType,
};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;

/// Clocks of two machines may differ by this much, in seconds, without a fresh certificate being refused.
const CLOCK_SKEW: i64 = 5 * 60;

/// Which key a new certificate gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum KeyType {
    /// EC P-256.
    Ec,
    /// RSA 2048, as kubeadm makes them.
    Rsa,
}

/// A certificate with its private key, both PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key, PKCS#8.
    pub key: String,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Whether that is sooner than asked for, because the CA ends then.
    pub is_shortened: bool,
}

/// What a server's certificate is to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf<'a> {
    /// The subject's common name.
    pub common_name: &'a str,
    /// DNS names and addresses.
    pub sans: &'a [String],
    /// Whether its holder also shows it as a client, as etcd's members do to each other.
    pub is_client: bool,
    /// Which key it gets.
    pub key_type: KeyType,
    /// For how long from now it is valid.
    pub days: u32,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A file of the CA brought nothing.
    #[error(transparent)]
    Read(#[from] read::ReadError),
    /// The key of the CA is of a kind that cannot sign.
    #[error(
        "{file}: the private key cannot be used: {source}; give an RSA key of 2048 bits or more, or an EC key"
    )]
    Key {
        /// As the user named it.
        file: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Certificate and key of the CA are of two pairs.
    #[error("{certificate}: belongs to another key than {key}; give the two files of one CA")]
    KeyMismatch {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
    },
    /// The certificate given for the CA may not sign, or would make certificates that nobody accepts.
    #[error("{file}: cannot issue certificates: {message}")]
    Unfit {
        /// The file of the certificate.
        file: String,
        /// Why, and what to do.
        message: String,
    },
    /// A name cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate: {source}; correct it in the description")]
    Name {
        /// Which.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The library refuses.
    #[error("cannot make the certificate: {0}")]
    Library(#[from] rcgen::Error),
}

/// A CA with its key.
pub struct Authority {
    /// As the user named it; a new one is called by its common name.
    file: String,
    certificate: CertificateDer<'static>,
    not_after: i64,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new CA that is valid from `now` (seconds since 1970) for so many days, and what to keep of it.
    ///
    /// # Errors
    ///
    /// The key cannot be made.
    pub fn new(
        common_name: &str,
        key_type: KeyType,
        days: u32,
        now: i64,
    ) -> Result<(Self, Issued), IssueError> {
        let not_after = now.saturating_add(i64::from(days) * DAY);
        let mut params = parameters(common_name, now, not_after);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = generate(key_type)?;
        let signed = params.self_signed(&key)?;
        let issued =
            Issued { certificate: signed.pem(), key: key.serialize_pem(), not_after, is_shortened: false };
        let certificate = signed.der().clone();
        let issuer = Issuer::new(params, key);
        Ok((Self { file: common_name.to_owned(), certificate, not_after, issuer }, issued))
    }

    /// The CA in two files. Of several certificates in the file, that of the key is taken.
    ///
    /// # Errors
    ///
    /// The files cannot be read, do not belong together, or are no CA that can issue at the time `now`.
    pub fn load(certificate: &Path, key: &Path, now: i64) -> Result<Self, IssueError> {
        let file = certificate.display().to_string();
        let found = read::certificates(certificate)?;
        let pair = KeyPair::try_from(&read::private_key(key)?)
            .map_err(|source| IssueError::Key { file: key.display().to_string(), source })?;
        let is_of_pair = |parsed: &X509Certificate<'_>| {
            parsed.public_key().subject_public_key.data.as_ref() == pair.der_bytes()
        };
        let certificate = found
            .into_iter()
            .find(|der| facts::parse(der).is_ok_and(|parsed| is_of_pair(&parsed)))
            .ok_or_else(|| IssueError::KeyMismatch {
                certificate: file.clone(),
                key: key.display().to_string(),
            })?;
        let unfit = |message: String| IssueError::Unfit { file: file.clone(), message };
        let not_after = fit(&certificate, now).map_err(unfit)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, pair)
            .map_err(|error| unfit(format!("its subject cannot be repeated: {error}; give another CA")))?;
        Ok(Self { file, certificate, not_after, issuer })
    }

    /// A certificate for a server, valid from `now`; it never outlives the CA.
    ///
    /// # Errors
    ///
    /// A name cannot stand in a certificate, or what this CA signs would not be accepted.
    pub fn issue(&self, leaf: &Leaf<'_>, now: i64) -> Result<Issued, IssueError> {
        let asked = now.saturating_add(i64::from(leaf.days) * DAY);
        let not_after = asked.min(self.not_after);
        let mut params = parameters(leaf.common_name, now, not_after);
        params.subject_alt_names =
            leaf.sans.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.key_type == KeyType::Rsa {
            // The key exchange of TLS 1.2 without forward secrecy, which old clients still ask for.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if leaf.is_client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let key = generate(leaf.key_type)?;
        let signed = params.signed_by(&key, &self.issuer)?;
        // A CA may be bound to some names, or be of a kind that clients do not take: found here rather than by them.
        trust::verify(signed.der(), &[], std::slice::from_ref(&self.certificate), now).map_err(|why| {
            let message = format!("clients would refuse what it signs: {why}; give another CA");
            IssueError::Unfit { file: self.file.clone(), message }
        })?;
        Ok(Issued {
            certificate: signed.pem(),
            key: key.serialize_pem(),
            not_after,
            is_shortened: not_after < asked,
        })
    }
}

/// Until when the CA may sign, or why it may not.
fn fit(certificate: &CertificateDer<'_>, now: i64) -> Result<i64, String> {
    let facts = CertificateFacts::of(certificate, now)?;
    if !facts.is_ca {
        return Err("it is not a CA's certificate; give --ca-cert that of the CA".to_owned());
    }
    match facts.at_now() {
        Moment::Before => return Err(format!("it is valid from {}; set the clock right", facts.not_before)),
        Moment::After => return Err(format!("it expired on {}; renew the CA first", facts.not_after)),
        Moment::Within => {}
    }
    let parsed = facts::parse(certificate)?;
    let usage = parsed.key_usage().map_err(|error| error.to_string())?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err("its key usage does not allow to sign certificates; give another CA".to_owned());
    }
    // An issuer's name is repeated byte by byte in what it signs, and the library can hold one value of a kind only.
    let mut kinds = BTreeSet::new();
    for part in parsed.subject().iter() {
        let mut attributes = part.iter();
        let kind = attributes.next().map(|attribute| attribute.attr_type().to_id_string());
        if attributes.next().is_some() || kind.is_none_or(|kind| !kinds.insert(kind)) {
            return Err(format!(
                "its subject {} has several values of a kind; give another CA",
                facts.subject
            ));
        }
    }
    Ok(facts.valid.1)
}

fn generate(key_type: KeyType) -> Result<KeyPair, rcgen::Error> {
    match key_type {
        KeyType::Ec => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
}

fn alternative(name: &str) -> Result<SanType, IssueError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => name
            .try_into()
            .map(SanType::DnsName)
            .map_err(|source| IssueError::Name { name: name.to_owned(), source }),
    }
}

/// A subject and a validity, and nothing else.
fn parameters(common_name: &str, now: i64, not_after: i64) -> CertificateParams {
    let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let mut params = CertificateParams::default();
    params.not_before = time(now.saturating_sub(CLOCK_SKEW)).into();
    params.not_after = time(not_after).into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
