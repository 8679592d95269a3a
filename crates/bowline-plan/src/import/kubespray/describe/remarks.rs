//! What the description does otherwise than the inventory's own system, and what the inventory hints at.

use super::Describer;
use crate::import::kubespray::Edition;
use crate::import::kubespray::scope::Unknown;
use crate::import::kubespray::settings::Placed;
use crate::import::{Place, RemarkKind};
use crate::source::excerpt;

/// Names of the certificates that a message shows.
const NAMES_SHOWN: usize = 5;

impl Describer<'_, '_> {
    /// Whoever was spoken to in plain text is not any more.
    pub(super) fn plaintext(&mut self) -> Result<(), Unknown> {
        let scope = self.first.scope;
        let secure = self.secure_port()?;
        let given = scope.text("kube_apiserver_insecure_port")?.filter(|(port, _)| port != OFF);
        match (self.edition, given) {
            (Edition::Kargo, given) => {
                let (port, place) =
                    given.unwrap_or_else(|| (INSECURE_PORT.to_owned(), whole_file(scope.place())));
                let message = format!(
                    "control planes spoke to their API servers in plain text, at http://localhost:{}; here always with TLS, \
                     at port {secure}: turn the plain port off",
                    excerpt(&port)
                );
                self.remark(RemarkKind::Differs, &place, message);
                let message =
                    "etcd was spoken to in plain text; here with TLS: give the members certificates";
                self.remark(RemarkKind::Differs, &whole_file(scope.place()), message);
            }
            (Edition::Current | Edition::Doc2019, Some((port, place))) => {
                let message = format!(
                    "kube_apiserver_insecure_port {} takes requests in plain text and without credentials; nobody is sent \
                     there from here: turn it off",
                    excerpt(&port)
                );
                self.remark(RemarkKind::Differs, &place, message);
            }
            (Edition::Current | Edition::Doc2019, None) => {}
        }
        Ok(())
    }

    /// Names in the certificates that nobody is told to use: perhaps of a balancer that Kubespray knows nothing of.
    pub(super) fn unmanaged(&mut self) -> Result<(), Unknown> {
        let (names, _) = self.first.scope.texts("supplementary_addresses_in_ssl_keys")?;
        let is_known = |name: &str| {
            self.rules.addresses.values().any(|addresses| {
                addresses.main.iter().chain(&addresses.access).any(|address| address.text == name)
            })
        };
        let names: Vec<Placed> = names.into_iter().filter(|(name, _)| !is_known(name)).collect();
        let (Some((first, place)), None) = (names.first().cloned(), &self.first.load_balancer) else {
            return Ok(());
        };
        let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|(name, _)| excerpt(name)).collect();
        let more = match names.len().saturating_sub(NAMES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "the certificates name {}{more}, and nobody is told to use it: if a balancer for people outside is there, say \
             access.external: {{mode: external, address: {}}}",
            shown.join(", "),
            excerpt(&first)
        );
        self.remark(RemarkKind::Assumed, &place, message);
        Ok(())
    }
}

/// What Kargo took for the plain port.
const INSECURE_PORT: &str = "8080";
/// Since 2018 the plain port is off by being this.
const OFF: &str = "0";

fn whole_file(place: &Place) -> Place {
    Place::new(place.file.clone(), None)
}
