//! Holds a certificate against the plan.

use super::facts::CertificateFacts;
use super::trust;
use bowline_plan::Severity;
use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

const SAN_MISSING: &str = "san-missing";
const EXPIRED: &str = "certificate-expired";
const NOT_YET_VALID: &str = "certificate-not-yet-valid";
const EXPIRES_SOON: &str = "certificate-expires-soon";
const NOT_A_SERVER: &str = "not-a-server-certificate";
const KEY_TOO_SMALL: &str = "key-too-small";
const UNTRUSTED: &str = "chain-untrusted";
const NOT_CHECKED: &str = "chain-not-checked";
const CA_EXPIRED: &str = "ca-expired";
const CA_EXPIRES_SOON: &str = "ca-expires-soon";

/// Every code that [`check`] can find.
pub const CODES: [&str; 10] = [
    SAN_MISSING,
    EXPIRED,
    NOT_YET_VALID,
    EXPIRES_SOON,
    NOT_A_SERVER,
    KEY_TOO_SMALL,
    UNTRUSTED,
    NOT_CHECKED,
    CA_EXPIRED,
    CA_EXPIRES_SOON,
];

/// What was found: `bowline certs check --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertsCheck {
    /// `bowline.dev/certs-check/v1`.
    pub schema: &'static str,
    /// The file or URL.
    pub target: String,
    /// The node whose names the certificate has to hold; `null` where it has to hold those of all.
    pub node: Option<String>,
    /// What is wrong or will be, worst first.
    pub findings: Vec<CertsFinding>,
    /// What the certificate says.
    pub certificate: CertificateFacts,
}

impl CertsCheck {
    /// Whether something is wrong, rather than to be thought of.
    pub fn is_failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// One thing that is wrong or will be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertsFinding {
    /// Which kind, such as `san-missing`; docs/certs.md explains each.
    pub code: &'static str,
    /// How much it matters; an error fails the check.
    pub severity: Severity,
    /// The name, address, certificate or CA it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a certificate is held against.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// The file or URL.
    pub target: String,
    /// The node whose part of the names it is, if not of all.
    pub node: Option<String>,
    /// Every name and address it has to hold.
    pub sans: Vec<String>,
    /// Those of them that clients are told to use.
    pub advertised: BTreeSet<String>,
    /// By which name or address it was asked for.
    pub asked: Option<String>,
    /// Days of validity below which there is a warning.
    pub warn_days: i64,
}

/// Holds the first certificate of `chain` against `wanted` at the time `now`, and the chain against `authorities`, if there
/// are any.
///
/// # Errors
///
/// The first certificate, or an authority, is none; the text says why.
pub fn check(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    wanted: &Wanted,
    now: i64,
) -> Result<CertsCheck, String> {
    let (leaf, intermediates) = chain.split_first().ok_or("there is no certificate")?;
    let certificate = CertificateFacts::of(leaf, now)?;
    let mut findings = Findings(Vec::new());
    findings.names(&certificate, wanted);
    findings.validity(&certificate, wanted);
    findings.fitness(&certificate, wanted);
    if authorities.is_empty() {
        findings.add(
            NOT_CHECKED,
            Severity::Info,
            &wanted.target,
            "no CA is known to hold the chain against",
            "give --ca FILE, or caFile in the description",
        );
    } else {
        // Held at a moment of the certificate's own validity, so that its expiry is not told a second time.
        let (from, until) = certificate.valid;
        let at = now.min(until).max(from);
        if let Err(why) = trust::verify(leaf, intermediates, authorities, at)
            && certificate.is_server
            && !certificate.is_ca
        {
            findings.add(
                UNTRUSTED,
                Severity::Error,
                &wanted.target,
                format!("clients that trust this CA refuse it: {why}"),
                "have it issued by the CA, or give clients the CA that issued it",
            );
        }
        findings.authorities(&issuers(chain, authorities, now)?, wanted);
    }
    findings.0.sort_by_key(|finding| finding.severity);
    let (target, node) = (wanted.target.clone(), wanted.node.clone());
    Ok(CertsCheck { schema: "bowline.dev/certs-check/v1", target, node, findings: findings.0, certificate })
}

/// The authorities that some certificate of the chain says it was signed by.
fn issuers(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: i64,
) -> Result<Vec<CertificateFacts>, String> {
    let facts = |der: &CertificateDer<'_>| CertificateFacts::of(der, now);
    // An intermediate that is no certificate is no part of any chain; that is told by the verdict on the chain.
    let signed_by: BTreeSet<String> =
        chain.iter().filter_map(|der| facts(der).ok()).map(|facts| facts.issuer).collect();
    let mut found = authorities.iter().map(facts).collect::<Result<Vec<_>, _>>()?;
    found.retain(|authority| signed_by.contains(&authority.subject));
    Ok(found)
}

struct Findings(Vec<CertsFinding>);

impl Findings {
    fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        subject: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (subject, message, remedy) = (subject.to_owned(), message.into(), remedy.into());
        self.0.push(CertsFinding { code, severity, subject, message, remedy });
    }

    fn names(&mut self, certificate: &CertificateFacts, wanted: &Wanted) {
        let mut seen = BTreeSet::new();
        for name in wanted.asked.iter().chain(&wanted.sans) {
            if certificate.covers(name) || !seen.insert(name) {
                continue;
            }
            let is_advertised = wanted.advertised.contains(name);
            let is_asked = wanted.asked.as_ref() == Some(name);
            let (severity, why) = if is_asked || is_advertised {
                let who = if is_advertised { "clients are told to use it" } else { "it was asked for by it" };
                (Severity::Error, who)
            } else {
                (Severity::Warning, "it is planned, though no client is told to use it")
            };
            let mistaken = if certificate.names.contains(name) {
                " as an address, only as a DNS name, which does not count"
            } else {
                ""
            };
            let remedy = "issue it anew with this name, for instance by `bowline certs issue`";
            self.add(
                SAN_MISSING,
                severity,
                name,
                format!("{why}, and the certificate does not name it{mistaken}"),
                remedy,
            );
        }
    }

    fn validity(&mut self, certificate: &CertificateFacts, wanted: &Wanted) {
        let (from, until) = (&certificate.not_before, &certificate.not_after);
        let subject = &wanted.target;
        match certificate.at_now() {
            Moment::Before => {
                let remedy = "set the clocks right, or wait, or issue it anew";
                self.add(NOT_YET_VALID, Severity::Error, subject, format!("it is valid from {from}"), remedy);
            }
            Moment::After => {
                let message = format!("it expired on {until}, {} ago", days(-certificate.days_left));
                self.add(EXPIRED, Severity::Error, subject, message, "renew it");
            }
            Moment::Within if certificate.days_left < wanted.warn_days => {
                let message = format!("it expires on {until}, in {}", days(certificate.days_left));
                self.add(EXPIRES_SOON, Severity::Warning, subject, message, "renew it");
            }
            Moment::Within => {}
        }
    }

    fn fitness(&mut self, certificate: &CertificateFacts, wanted: &Wanted) {
        let subject = &wanted.target;
        let remedy =
            "issue one with the extended key usage serverAuth, for instance by `bowline certs issue`";
        if certificate.is_ca {
            self.add(
                NOT_A_SERVER,
                Severity::Error,
                subject,
                "it is the certificate of a CA, which serves nobody",
                remedy,
            );
        } else if !certificate.is_server {
            let message = format!("it is for {} only", certificate.purposes.join(", "));
            self.add(NOT_A_SERVER, Severity::Error, subject, message, remedy);
        }
        if certificate.is_key_too_small {
            let message = format!("its key is {}, which clients refuse", certificate.key);
            self.add(
                KEY_TOO_SMALL,
                Severity::Error,
                subject,
                message,
                "issue it with a key of at least RSA 2048 or EC P-256",
            );
        }
    }

    fn authorities(&mut self, authorities: &[CertificateFacts], wanted: &Wanted) {
        for authority in authorities {
            let until = &authority.not_after;
            let remedy = "renew the CA, and issue every certificate anew by it";
            match authority.at_now() {
                Moment::After => {
                    let message = format!("the CA expired on {until}, {} ago", days(-authority.days_left));
                    self.add(CA_EXPIRED, Severity::Error, &authority.subject, message, remedy);
                }
                Moment::Within | Moment::Before if authority.days_left < wanted.warn_days => {
                    let message = format!("the CA expires on {until}, in {}", days(authority.days_left));
                    self.add(CA_EXPIRES_SOON, Severity::Warning, &authority.subject, message, remedy);
                }
                Moment::Within | Moment::Before => {}
            }
        }
    }
}

/// Where the present is, seen from a certificate's validity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    /// It is not valid yet.
    Before,
    /// It is valid.
    Within,
    /// It has expired.
    After,
}

impl CertificateFacts {
    /// Where the moment they were taken is, seen from the certificate's validity.
    pub(super) const fn at_now(&self) -> Moment {
        let (from, until) = self.valid;
        if self.taken > until {
            Moment::After
        } else if self.taken < from {
            Moment::Before
        } else {
            Moment::Within
        }
    }
}

fn days(number: i64) -> String {
    match number {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        more => format!("{more} days"),
    }
}
