//! What is before the members of etcd, and what their certificates are asked to hold.

use super::Describer;
use crate::import::RemarkKind;
use crate::import::kubeadm::host_and_port;
use crate::import::kubespray::Edition;
use crate::import::kubespray::scope::{Scope, Unknown};
use crate::import::kubespray::settings::{Placed, is_address, wrapped};
use crate::source::excerpt;

/// Where etcd takes clients; Kubespray has no variable for it.
const CLIENT_PORT: u16 = 2379;
/// How Kubespray calls etcd in its certificates, below the domain of services and without one.
const NAMES: [&str; 3] = ["etcd.kube-system.svc", "etcd.kube-system", "etcd"];

impl Describer<'_, '_> {
    /// Where clients are sent instead of to the members, and what the members themselves say.
    pub(super) fn etcd_fronts(&mut self) -> Result<(), Unknown> {
        let scope = self.first.scope;
        let given = match self.edition {
            Edition::Current | Edition::Doc2019 => scope.text("etcd_access_addresses")?,
            // Only who is told all members is told these.
            Edition::Kargo => match scope.text("etcd_access_endpoint")? {
                Some(given) => Some(given),
                None => scope.text("etcd_access_addresses")?.filter(|_| self.draft.spec.etcd.multiaccess),
            },
        };
        if let Some((urls, place)) = given {
            let fronts = self.fronts(&(urls, place.clone()))?;
            if fronts != self.members() {
                self.draft.came_from("spec.etcd.accessAddresses", &place);
                self.draft.spec.etcd.access_addresses = fronts;
            }
        }
        self.advertised()
    }

    /// The members as clients see them.
    fn members(&self) -> Vec<String> {
        let members = self.rules.members.etcd_hosts.iter();
        members.map(|id| self.rules.access_address(*id).to_owned()).collect()
    }

    fn advertised(&mut self) -> Result<(), Unknown> {
        let mut given: Vec<Placed> = Vec::new();
        for id in self.rules.members.etcd_hosts {
            let Some(scope) = Scope::new(self.groups, *id) else { continue };
            if let Some((url, place)) = scope.text("etcd_client_url")? {
                let own = format!("https://{}:{CLIENT_PORT}", wrapped(self.rules.access_address(*id)));
                if url.trim_end_matches('/') != own {
                    given.push((url, place));
                }
            }
        }
        let Some(first) = given.first().cloned() else { return Ok(()) };
        let is_same = given.iter().all(|(url, _)| *url == first.0);
        if !is_same || given.len() != self.rules.members.etcd_hosts.len() {
            let message = format!(
                "etcd_client_url is {} here and another one elsewhere; here members say their own addresses, unless all say \
                 the same",
                excerpt(&first.0)
            );
            self.remark(RemarkKind::Differs, &first.1, message);
            return Ok(());
        }
        let fronts = self.fronts(&first)?;
        self.draft.came_from("spec.etcd.advertisedAddress", &first.1);
        self.draft.spec.etcd.advertised_address = fronts.into_iter().next();
        Ok(())
    }

    /// URLs with commas between them, as hosts with the ports that differ from the usual one.
    fn fronts(&mut self, (urls, place): &Placed) -> Result<Vec<String>, Unknown> {
        let mut fronts = Vec::new();
        for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
            if scheme != "https" {
                let message = format!("{} is not encrypted: here etcd is spoken to with TLS", excerpt(url));
                self.remark(RemarkKind::Differs, place, message);
            }
            let Some((host, port)) = host_and_port(rest.trim_end_matches('/')) else {
                let remedy = "write one such as https://etcd.example.net:2379, an IPv6 address in brackets";
                return Err(place.problem(format!("{} is no URL of etcd", excerpt(url)), remedy));
            };
            if port.is_none() {
                let message = format!("{} has no port: {CLIENT_PORT} is taken", excerpt(url));
                self.remark(RemarkKind::Assumed, place, message);
            }
            fronts.push(match port {
                None | Some(CLIENT_PORT) => host.to_ascii_lowercase(),
                Some(port) => format!("{}:{port}", wrapped(&host.to_ascii_lowercase())),
            });
        }
        if fronts.is_empty() {
            let message = format!("{} names no URL of etcd", excerpt(urls));
            return Err(place.problem(message, "give one, or remove the line"));
        }
        Ok(fronts)
    }

    /// What the inventory wants in the certificates of etcd, or Kubespray without a word of it.
    pub(super) fn etcd_names(&mut self) -> Result<Vec<Placed>, Unknown> {
        let mut names = Vec::new();
        if self.edition == Edition::Kargo {
            return Ok(names);
        }
        for id in self.rules.members.etcd_hosts {
            let Some(scope) = Scope::new(self.groups, *id) else { continue };
            if let Some((address, place)) = scope.text("etcd_access_address")?
                && address != self.rules.access_address(*id)
            {
                let kind = if is_address(&address) { "address" } else { "name" };
                let message = format!(
                    "{} advertises the {kind} {} as a member of etcd: it is in the certificates, and clients go to its \
                     access_ip or ip",
                    scope.host.name,
                    excerpt(&address)
                );
                self.remark(RemarkKind::Differs, &place, message);
                names.push((address, place));
            }
            if scope.definition("etcd_cert_alt_names").is_some() {
                names.extend(scope.texts("etcd_cert_alt_names")?.0);
            } else {
                let domain = scope.dns_domain()?;
                let place = crate::import::Place::new(scope.place().file.clone(), None);
                let defaults = NAMES.map(str::to_owned).into_iter().chain([format!("{}.{domain}", NAMES[0])]);
                names.extend(defaults.map(|name| (name, place.clone())));
            }
            names.extend(scope.texts("etcd_cert_alt_ips")?.0);
        }
        Ok(names)
    }
}
