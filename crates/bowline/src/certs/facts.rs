//! What a certificate says, in words and numbers.

use super::DAY;
use aws_lc_rs::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::nom::error::ErrorKind;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

/// RSA keys with fewer bits are refused by every current client.
const RSA_BITS_MIN: usize = 2048;

/// The certificates of some files: `bowline certs inspect --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertsInspect {
    /// `bowline.dev/certs-inspect/v1`.
    pub schema: &'static str,
    /// In the order of the files, and in each in its own order.
    pub certificates: Vec<InspectedCertificate>,
}

impl CertsInspect {
    /// The document of these certificates.
    pub const fn new(certificates: Vec<InspectedCertificate>) -> Self {
        Self { schema: "bowline.dev/certs-inspect/v1", certificates }
    }
}

/// One certificate of a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InspectedCertificate {
    /// As the user named it.
    pub file: String,
    /// Which in the file, counted from 1.
    pub number: usize,
    /// What it says.
    #[serde(flatten)]
    pub facts: CertificateFacts,
}

/// What one certificate says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// The distinguished name it is for.
    pub subject: String,
    /// The distinguished name that signed it.
    pub issuer: String,
    /// The issuer's number of it, hexadecimal.
    pub serial: String,
    /// DNS names it is good for.
    pub names: BTreeSet<String>,
    /// Addresses it is good for.
    pub addresses: BTreeSet<IpAddr>,
    /// Subject alternative names of other kinds, such as URIs.
    pub other_names: Vec<String>,
    /// From when it is valid, UTC, as `2026-01-31T12:00:00Z`.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// Whole days until then; negative once it has expired.
    pub days_left: i64,
    /// Kind and size of the key, such as `RSA 2048` or `EC P-256`.
    pub key: String,
    /// Whether it may sign other certificates.
    pub is_ca: bool,
    /// What it may be used for; empty is anything.
    pub purposes: Vec<String>,
    /// SHA-256 of the whole certificate.
    pub fingerprint: String,
    /// Seconds since 1970.
    #[serde(skip)]
    pub(super) valid: (i64, i64),
    /// When they were taken, in seconds since 1970.
    #[serde(skip)]
    pub(super) taken: i64,
    #[serde(skip)]
    pub(super) is_server: bool,
    #[serde(skip)]
    pub(super) is_key_too_small: bool,
}

impl CertificateFacts {
    /// What `der` says, `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// It is no certificate; the text says why.
    pub fn of(der: &[u8], now: i64) -> Result<Self, String> {
        let parsed = parse(der)?;
        let (names, addresses, other_names) = alternative_names(&parsed)?;
        let usage = parsed.extended_key_usage().map_err(|error| error.to_string())?.map(|found| found.value);
        let validity = parsed.validity();
        let valid = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let (key, is_key_too_small) = key(parsed.public_key());
        Ok(Self {
            subject: printable(&parsed.subject().to_string()),
            issuer: printable(&parsed.issuer().to_string()),
            serial: hex(parsed.raw_serial(), ""),
            names,
            addresses,
            other_names,
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
            days_left: valid.1.saturating_sub(now).div_euclid(DAY),
            key,
            is_ca: parsed.is_ca(),
            purposes: usage.map(purposes).unwrap_or_default(),
            fingerprint: hex(digest(&SHA256, der).as_ref(), ":"),
            valid,
            taken: now,
            is_server: usage.is_none_or(|usage| usage.server_auth || usage.any),
            is_key_too_small,
        })
    }

    /// Whether a client that connects to `wanted`, a DNS name or an address, would take this certificate for it. A wildcard
    /// stands for one label, and only the first.
    pub fn covers(&self, wanted: &str) -> bool {
        if let Ok(address) = wanted.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let parent = wanted.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            let is_under = |stem: &str| parent.is_some_and(|parent| parent.eq_ignore_ascii_case(stem));
            name.eq_ignore_ascii_case(wanted) || name.strip_prefix("*.").is_some_and(is_under)
        })
    }
}

/// `der` as a certificate, and nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(X509Error::NomError(ErrorKind::Eof))
        | x509_parser::nom::Err::Failure(X509Error::NomError(ErrorKind::Eof)) => {
            "it ends too early".to_owned()
        }
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => error.to_string(),
    })?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow it", rest.len()));
    }
    Ok(parsed)
}

type Names = (BTreeSet<String>, BTreeSet<IpAddr>, Vec<String>);

fn alternative_names(parsed: &X509Certificate<'_>) -> Result<Names, String> {
    let (mut names, mut addresses, mut other) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let found = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
    for name in found.iter().flat_map(|found| &found.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                names.insert(printable(name));
            }
            GeneralName::IPAddress(bytes) => match address(bytes) {
                Some(address) => {
                    addresses.insert(address);
                }
                None => other.push(format!("an address of {} bytes", bytes.len())),
            },
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => other.push(printable(&name.to_string())),
        }
    }
    Ok((names, addresses, other))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)))).ok()
}

/// Kind and size, and whether it is too small to be accepted.
fn key(info: &SubjectPublicKeyInfo<'_>) -> (String, bool) {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let bits = bits(key.modulus);
            (format!("RSA {bits}"), bits < RSA_BITS_MIN)
        }
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            (
                format!(
                    "EC {}",
                    curve.map_or_else(|| "of an unnamed curve".to_owned(), |oid| curve_name(&oid))
                ),
                false,
            )
        }
        Ok(PublicKey::DSA(_)) => ("DSA".to_owned(), false),
        Ok(PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_)) => ("GOST".to_owned(), false),
        Ok(PublicKey::Unknown(_)) if info.algorithm.algorithm == OID_SIG_ED25519 => {
            ("Ed25519".to_owned(), false)
        }
        Ok(PublicKey::Unknown(_)) => (info.algorithm.algorithm.to_id_string(), false),
        Err(_) => ("unreadable".to_owned(), false),
    }
}

/// Significant bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let leading = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - leading
}

fn curve_name(oid: &Oid<'_>) -> String {
    let known = [(OID_EC_P256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")];
    let name = known.iter().find(|(known, _)| known == oid).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| oid.to_id_string())
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.iter().filter(|(has, _)| *has).map(|(_, name)| (*name).to_owned());
    known.chain(usage.other.iter().map(Oid::to_id_string)).collect()
}

fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(between)
}

/// `text` without anything that a terminal would obey: what certificates say was written by others.
fn printable(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_plain(&c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
