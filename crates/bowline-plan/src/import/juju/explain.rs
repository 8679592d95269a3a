//! Which URL every kubeconfig gets, by the charms' own rules, their defects included.
//!
//! In all eras a forced address wins and has port 6443; after it come the relations to a balancer, and after them the units'
//! own addresses. L and M hand out whole lists, from which everybody takes the entry of its own unit number; O hands out
//! the first. M waits for a balancer that is related and silent; O passes over it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{API_PORT, EXTERNAL_PORT, Era, Model, Provider, Unit};

/// What the charms give to whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// The server in the kubeconfig that each control-plane unit writes for people, in the order of the units; `None`: none
    /// yet.
    pub external: Vec<Option<String>>,
    /// What each control-plane unit publishes for components (empty: nothing); nothing at all in era L.
    pub internal_adv: Vec<Vec<String>>,
    /// What workers choose from, sorted. Era O has no such list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_list: Option<Vec<String>>,
    /// What each worker uses, by unit name.
    pub worker: BTreeMap<String, Choice>,
}

/// The URL a worker uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Choice {
    /// This one; `None`: it waits.
    Url(Option<String>),
    /// Any of these; which one can change at every hook.
    Arbitrary {
        /// Sorted.
        one_of: Vec<String>,
    },
}

/// A host and a port, before they become a URL.
pub(super) type Endpoint = (String, u16);

/// What the charms of the model's era decide.
pub fn explain(model: &Model) -> Explanation {
    let units = &model.control_plane.units;
    let url = |(host, port): &Endpoint| model.url(host, *port);
    let external = units.iter().map(|unit| pick(&model.external(unit), unit.number).map(url)).collect();
    let internal_adv = match model.era {
        Era::L => Vec::new(),
        Era::M | Era::O => units.iter().map(|unit| model.internal(unit).iter().map(url).collect()).collect(),
    };
    let choices: Vec<String> = model.worker_choices().into_keys().collect();
    let choose = |number: u32| match model.era {
        Era::L | Era::M => Choice::Url(pick(&choices, number).cloned()),
        Era::O => arbitrary(&choices),
    };
    let worker = model.workers.iter().map(|number| (format!("worker/{number}"), choose(*number))).collect();
    let worker_list = match model.era {
        Era::L | Era::M => Some(choices),
        Era::O => None,
    };
    Explanation { external, internal_adv, worker_list, worker }
}

/// Everybody's own entry of a common list.
fn pick<T>(list: &[T], unit: u32) -> Option<&T> {
    let unit = usize::try_from(unit).unwrap_or_default();
    list.get(unit.checked_rem(list.len())?)
}

/// In era O the units' lists are merged so that one of them survives, and which one has no order.
fn arbitrary(choices: &[String]) -> Choice {
    match choices {
        [] => Choice::Url(None),
        [only] => Choice::Url(Some(only.clone())),
        _ => Choice::Arbitrary { one_of: choices.to_vec() },
    }
}

/// Of a host that is known.
fn endpoint(host: &str, port: u16) -> Vec<Endpoint> {
    if host.is_empty() { Vec::new() } else { vec![(host.to_owned(), port)] }
}

impl Model {
    /// What may stand in the kubeconfig that `unit` writes for people; it takes the entry of its own number.
    fn external(&self, unit: &Unit) -> Vec<Endpoint> {
        if let Some(forced) = self.forced() {
            return forced;
        }
        let own = || endpoint(&unit.public, API_PORT);
        match self.era {
            Era::L => Some(self.legacy()).filter(|list| !list.is_empty()).unwrap_or_else(own),
            Era::M => self.awaited([true, false]).unwrap_or_else(own),
            Era::O => self.answered([true, false]).unwrap_or_else(own),
        }
    }

    /// What `unit` publishes for the components of the cluster.
    fn internal(&self, unit: &Unit) -> Vec<Endpoint> {
        if let Some(forced) = self.forced() {
            return forced;
        }
        let own = || endpoint(&unit.ingress, API_PORT);
        match self.era {
            Era::L => own(),
            Era::M => self.awaited([false, true]).unwrap_or_else(own),
            Era::O => self.answered([false, true]).unwrap_or_else(own),
        }
    }

    /// The control plane's forced addresses: all of them, in era O the first.
    fn forced(&self) -> Option<Vec<Endpoint>> {
        let all = self.control_plane.forced.addresses();
        let kept = match self.era {
            Era::L | Era::M => all,
            Era::O => all.get(..1).unwrap_or_default(),
        };
        let endpoints: Vec<Endpoint> = kept.iter().map(|address| (address.clone(), API_PORT)).collect();
        (!endpoints.is_empty()).then_some(endpoints)
    }

    /// Era M: the answer of the first relation there is, or nothing while it is awaited.
    fn awaited(&self, relations: [bool; 2]) -> Option<Vec<Endpoint>> {
        let related = relations.into_iter().find(|is_external| self.is_related(*is_external));
        if let Some(is_external) = related {
            return Some(self.answer(is_external).into_iter().collect());
        }
        self.control_plane.loadbalancer.map(|_| self.legacy())
    }

    /// Era O: the first answer there is.
    fn answered(&self, relations: [bool; 2]) -> Option<Vec<Endpoint>> {
        let mut related = relations.into_iter().filter(|is_external| self.is_related(*is_external));
        related.find_map(|is_external| self.answer(is_external)).map(|answer| vec![answer])
    }

    fn is_related(&self, is_external: bool) -> bool {
        if is_external { self.control_plane.has_external } else { self.control_plane.has_internal }
    }

    /// What balancers answer to the control plane, whether it uses the answers or not: its certificate holds them.
    pub(super) fn answers(&self) -> Vec<String> {
        let related = [true, false].into_iter().filter(|is_external| self.is_related(*is_external));
        related.filter_map(|is_external| self.answer(is_external)).map(|(host, _)| host).collect()
    }

    /// The rule, not the answer, implies the port.
    fn answer(&self, is_external: bool) -> Option<Endpoint> {
        let (balancer, port) = if is_external {
            (self.outer_balancer.as_ref().or(self.balancer.as_ref()), EXTERNAL_PORT)
        } else {
            (self.balancer.as_ref(), API_PORT)
        };
        let balancer = balancer?;
        balancer.answer(is_external).map(|address| (address.to_owned(), port))
    }

    /// What the control plane hears over its relation `loadbalancer`, sorted.
    fn legacy(&self) -> Vec<Endpoint> {
        let heard: BTreeSet<Endpoint> = match (self.control_plane.loadbalancer, &self.keepalived) {
            (None, _) | (Some(Provider::Keepalived), None) => BTreeSet::new(),
            // The address even if there is a name for it.
            (Some(Provider::Keepalived), Some(keepalived)) => {
                BTreeSet::from([(keepalived.vip.clone(), keepalived.port)])
            }
            (Some(Provider::Balancer), _) => {
                let balancer = self.outer_balancer.as_ref().or(self.balancer.as_ref());
                balancer.into_iter().flat_map(|balancer| balancer.published(|unit| &unit.public)).collect()
            }
        };
        heard.into_iter().filter(|(host, _)| !host.is_empty()).collect()
    }

    /// What workers choose from, by URL. In era M a balancer on the worker's own relation wins over what `kube-control`
    /// carries once it answers.
    fn worker_choices(&self) -> BTreeMap<String, Endpoint> {
        let over_own = self.worker_endpoints();
        let published = || self.control_plane.units.iter().flat_map(|unit| self.internal(unit)).collect();
        let chosen = match self.era {
            Era::L => over_own,
            Era::M if !over_own.is_empty() => over_own,
            Era::M | Era::O => published(),
        };
        chosen.into_iter().map(|endpoint| (self.url(&endpoint.0, endpoint.1), endpoint)).collect()
    }

    /// Every endpoint that some worker may use, sorted by URL.
    pub(super) fn internal_endpoints(&self) -> Vec<Endpoint> {
        self.worker_choices().into_values().collect()
    }

    /// Every endpoint that some control-plane unit gives to people, in the order of the units.
    pub(super) fn external_endpoints(&self) -> Vec<Endpoint> {
        let mut seen = BTreeSet::new();
        let units = self.control_plane.units.iter();
        let all = units.filter_map(|unit| pick(&self.external(unit), unit.number).cloned());
        all.filter(|endpoint| seen.insert(endpoint.clone())).collect()
    }

    /// What workers hear over their relation `kube-api-endpoint`.
    fn worker_endpoints(&self) -> Vec<Endpoint> {
        match (self.worker_kube_api_endpoint, &self.keepalived) {
            (Some(Provider::Balancer), _) => {
                self.balancer.iter().flat_map(|balancer| balancer.published(|unit| &unit.ingress)).collect()
            }
            (Some(Provider::Keepalived), Some(keepalived)) => {
                let name = &keepalived.hostname;
                let host = if name.is_empty() { &keepalived.vip } else { name };
                endpoint(host, keepalived.port)
            }
            (Some(Provider::Keepalived), None) => Vec::new(),
            (None, _) if self.era == Era::L => {
                let units = self.control_plane.units.iter();
                units.flat_map(|unit| self.internal(unit)).collect()
            }
            (None, _) => Vec::new(),
        }
    }

    /// Only era O puts an IPv6 address in brackets.
    fn url(&self, host: &str, port: u16) -> String {
        match self.era {
            Era::O if host.contains(':') && !host.starts_with('[') => format!("https://[{host}]:{port}"),
            Era::L | Era::M | Era::O => format!("https://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests;
