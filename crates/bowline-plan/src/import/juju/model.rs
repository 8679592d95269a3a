//! What a bundle and the status of its units come down to, as far as API addresses go.

use serde::Serialize;

/// The port of an API server, of forced addresses and of internal requests: the charms have no option for it.
pub(super) const API_PORT: u16 = 6443;
/// The port of external requests, and of the balancer and of keepalived unless they are configured otherwise.
pub(super) const EXTERNAL_PORT: u16 = 443;
/// Workers that a model has unless it lists them.
pub(super) const WORKERS: [u32; 3] = [0, 1, 2];

/// Which generation of the charms decides; every rule differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Era {
    /// Legacy, up to 1.21: addresses travel over the relation `kube-api-endpoint`.
    L,
    /// Middle, 1.22 to 1.28: `kube-control` carries a list, `kube-api-endpoint` still overrides it.
    M,
    /// Operator framework, from 1.29: `kube-control` alone.
    O,
}

/// What the legacy relations of control planes and workers lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Provider {
    Balancer,
    Keepalived,
}

/// A cluster as the charms see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    pub(super) era: Era,
    pub(super) control_plane: ControlPlane,
    pub(super) balancer: Option<Balancer>,
    /// The one for people, where it is another; models that are written down have none.
    pub(super) outer_balancer: Option<Balancer>,
    pub(super) keepalived: Option<Keepalived>,
    /// What the workers' `kube-api-endpoint` is related to; `None`: the control plane alone.
    pub(super) worker_kube_api_endpoint: Option<Provider>,
    /// Unit numbers.
    pub(super) workers: Vec<u32>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ControlPlane {
    pub(super) units: Vec<Unit>,
    pub(super) forced: Forced,
    /// What the endpoint `loadbalancer` is related to (L, M).
    pub(super) loadbalancer: Option<Provider>,
    /// Whether `loadbalancer-external` is related to the balancer (M, O).
    pub(super) has_external: bool,
    /// Whether `loadbalancer-internal` is.
    pub(super) has_internal: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Balancer {
    pub(super) units: Vec<Unit>,
    pub(super) forced: Forced,
    /// Unit number of the leader.
    pub(super) leader: u32,
    /// Whether it has not answered.
    pub(super) is_down: bool,
    /// The charm's option `port`, which is published over the legacy relations.
    pub(super) port: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keepalived {
    /// Without a prefix length.
    pub(super) vip: String,
    /// Empty when there is none.
    pub(super) hostname: String,
    pub(super) port: u16,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unit {
    pub(super) number: u32,
    pub(super) public: String,
    /// Of the relation to components; of a balancer, that of `website`.
    pub(super) ingress: String,
    /// Of a balancer, that of requests that are not public.
    pub(super) bind: String,
}

/// The options that put addresses in front of an application, whatever its relations say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Forced {
    pub(super) loadbalancer_ips: Vec<String>,
    pub(super) ha_cluster_vip: Vec<String>,
    pub(super) ha_cluster_dns: Vec<String>,
    /// Whether the hacluster relation has a unit; not whether the cluster of it is formed.
    pub(super) is_ha_related: bool,
}

impl Forced {
    /// The addresses in force, in the order written.
    pub(super) fn addresses(&self) -> &[String] {
        if !self.loadbalancer_ips.is_empty() {
            return &self.loadbalancer_ips;
        }
        match (self.is_ha_related, self.ha_cluster_vip.is_empty()) {
            (false, _) => &[],
            (true, false) => &self.ha_cluster_vip,
            (true, true) => &self.ha_cluster_dns,
        }
    }
}

impl Balancer {
    /// What it answers to a request on the `loadbalancer` interface: one address for the whole application, by its leader.
    pub(super) fn answer(&self, is_public: bool) -> Option<&str> {
        if self.is_down {
            return None;
        }
        let leader = || self.units.iter().find(|unit| unit.number == self.leader);
        let address = match self.forced.addresses().first() {
            Some(forced) => forced,
            None if is_public => &leader()?.public,
            None => &leader()?.bind,
        };
        (!address.is_empty()).then_some(address)
    }

    /// What its units publish over a legacy relation: every unit for itself, or all of them the forced addresses.
    pub(super) fn published(&self, own: impl Fn(&Unit) -> &String) -> Vec<(String, u16)> {
        if self.is_down || self.units.is_empty() {
            return Vec::new();
        }
        let forced = self.forced.addresses();
        let addresses: Vec<&String> =
            if forced.is_empty() { self.units.iter().map(own).collect() } else { forced.iter().collect() };
        let known = addresses.into_iter().filter(|address| !address.is_empty());
        known.map(|address| (address.clone(), self.port)).collect()
    }
}
