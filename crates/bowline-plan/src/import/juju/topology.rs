//! From a bundle and a status to the model of the charms' rules, and to the machines behind it.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use super::bundle::{Application, Bundle, place};
use super::model::{Balancer, ControlPlane, EXTERNAL_PORT, Era, Forced, Keepalived, Model, Provider, Unit};
use super::status::{self, Status};
use crate::import::{Place, Remark, RemarkKind};
use crate::problem::Problem;

pub(super) const CONTROL_PLANE: [&str; 2] = ["kubernetes-control-plane", "kubernetes-master"];
pub(super) const BALANCER: [&str; 1] = ["kubeapi-load-balancer"];
pub(super) const WORKER: [&str; 1] = ["kubernetes-worker"];
pub(super) const ETCD: [&str; 1] = ["etcd"];
pub(super) const KEEPALIVED: [&str; 1] = ["keepalived"];
pub(super) const HACLUSTER: [&str; 1] = ["hacluster"];
/// Their balancers are somebody else's, and so are the addresses.
pub(super) const CLOUD: [&str; 4] =
    ["openstack-integrator", "azure-integrator", "aws-integrator", "gcp-integrator"];

/// An application whose units matter.
#[derive(Debug)]
pub(super) struct Part<'b, 't> {
    pub(super) name: &'t str,
    pub(super) application: &'b Application<'t>,
    /// In the order of their numbers.
    pub(super) units: Vec<Placed>,
}

/// A unit and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) number: u32,
    pub(super) machine: String,
    /// `None` where the status has none.
    pub(super) ingress: Option<IpAddr>,
    pub(super) public: Option<IpAddr>,
    pub(super) is_leader: bool,
    pub(super) place: Place,
}

/// The applications that decide how API servers are reached.
#[derive(Debug)]
pub(super) struct Topology<'b, 't> {
    pub(super) bundle: &'b Bundle<'t>,
    pub(super) status: &'b Status,
    pub(super) control_plane: Part<'b, 't>,
    /// Serves the relations for components: `loadbalancer-internal`, `website`.
    pub(super) balancer: Option<Part<'b, 't>>,
    /// Serves those for people: `loadbalancer-external`, `loadbalancer`; `None` where it is the same.
    pub(super) outer_balancer: Option<Part<'b, 't>>,
    pub(super) keepalived: Option<(&'t str, &'b Application<'t>)>,
    /// Addresses that move between machines, and those that several machines have.
    pub(super) not_own: BTreeSet<IpAddr>,
}

/// Finds the parts.
///
/// # Errors
/// There is no control plane, or more than one.
pub(super) fn find<'b, 't>(
    bundle: &'b Bundle<'t>,
    status: &'b Status,
    remarks: &mut Vec<Remark>,
) -> Result<Topology<'b, 't>, Vec<Problem>> {
    let floating = floating(bundle);
    let not_own: BTreeSet<IpAddr> = floating.into_iter().chain(status.shared()).collect();
    let part = |name, application, remarks: &mut Vec<Remark>| {
        let units = units(name, application, status, &not_own, remarks);
        Part { name, application, units }
    };
    let (name, application) = control_plane(bundle).map_err(|problem| vec![problem])?;
    let control_plane = part(name, application, remarks);
    let balancers = bundle.with_charm(&BALANCER);
    let inner = chosen(bundle, name, &balancers, true).or(balancers.first().copied());
    let outer = chosen(bundle, name, &balancers, false)
        .filter(|(outer, _)| inner.map(|(inner, _)| inner) != Some(outer));
    let balancer = inner.map(|(name, application)| part(name, application, remarks));
    let outer_balancer = outer.map(|(name, application)| part(name, application, remarks));
    let keepalived = bundle.with_charm(&KEEPALIVED);
    for (name, application) in keepalived.iter().skip(1) {
        let message =
            format!("{name} is a second keepalived; on one machine they overwrite each other's file");
        remarks.push(place(&application.at).remark(RemarkKind::NotUnderstood, message));
    }
    let keepalived = keepalived.first().copied();
    Ok(Topology { bundle, status, control_plane, balancer, outer_balancer, keepalived, not_own })
}

pub(super) fn control_plane<'b, 't>(
    bundle: &'b Bundle<'t>,
) -> Result<(&'t str, &'b Application<'t>), Problem> {
    match bundle.with_charm(&CONTROL_PLANE).as_slice() {
        [found] => Ok(*found),
        [] => {
            let message = format!("no application of the charm {}", CONTROL_PLANE.join(" or "));
            let remedy = "give the whole bundle: `juju export-bundle` writes it";
            Err(Place::new(bundle.file, None).problem(message, remedy))
        }
        [(first, _), (second, application), ..] => {
            let message = format!("two control planes, {first} and {second}");
            Err(place(&application.at).problem(message, "give a bundle of one cluster"))
        }
    }
}

/// The balancer that the control plane's relations lead to, for components or for people.
fn chosen<'b, 't>(
    bundle: &Bundle<'t>,
    control_plane: &str,
    balancers: &[(&'t str, &'b Application<'t>)],
    is_internal: bool,
) -> Option<(&'t str, &'b Application<'t>)> {
    let endpoints: &[&str] =
        if is_internal { &["loadbalancer-internal"] } else { &["loadbalancer-external", "loadbalancer"] };
    let peers = ["lb-consumers", "loadbalancer"];
    let related: Vec<&str> = endpoints
        .iter()
        .flat_map(|endpoint| bundle.related(control_plane, endpoint, &peers, &BALANCER))
        .map(|(name, _)| name)
        .collect();
    let website = || {
        let workers = bundle.with_charm(&WORKER);
        let related = workers
            .iter()
            .flat_map(|(name, _)| bundle.related(name, "kube-api-endpoint", &["website"], &BALANCER));
        related.map(|(name, _)| name).collect::<Vec<&str>>()
    };
    let found = |names: &[&str]| balancers.iter().find(|(name, _)| names.contains(name)).copied();
    found(&related).or_else(|| if is_internal { found(&website()) } else { None })
}

/// All addresses that options say move between machines.
fn floating(bundle: &Bundle<'_>) -> BTreeSet<IpAddr> {
    let read = |text: &str| IpAddr::from_str(text.split('/').next().unwrap_or_default()).ok();
    let options = ["loadbalancer-ips", "ha-cluster-vip", "virtual_ip"];
    let all =
        bundle.applications.values().flat_map(|application| options.map(|option| application.words(option)));
    all.flatten().filter_map(|word| read(&word)).collect()
}

/// The units of an application, with the addresses that Juju most likely gives their relations.
pub(super) fn units(
    name: &str,
    application: &Application<'_>,
    status: &Status,
    not_own: &BTreeSet<IpAddr>,
    remarks: &mut Vec<Remark>,
) -> Vec<Placed> {
    let Some(reported) = status.applications.get(name) else {
        if application.units.is_some_and(|units| units > 0) {
            let message = format!("{name} is not in the status {}", status.file);
            remarks.push(place(&application.at).remark(RemarkKind::NotUnderstood, message));
        }
        return Vec::new();
    };
    if let Some(units) = application.units
        && usize::try_from(units) != Ok(reported.units.len())
    {
        let found = reported.units.len();
        let message = format!(
            "{found} units of {name}, of which the bundle has {units}: those of the status are taken"
        );
        remarks.push(reported.place.remark(RemarkKind::Assumed, message));
    }
    let placed = |unit: &status::Unit| {
        let own = status.own_addresses(&unit.machine, not_own);
        let ingress = ingress(&own, unit.public);
        if let Some(ingress) = ingress.filter(|_| own.len() > 1) {
            let message = format!(
                "{name}/{} has several addresses; relations are taken to use {ingress}, \
                 which `juju show-unit` would say (ingress-address)",
                unit.number
            );
            remarks.push(unit.place.remark(RemarkKind::Assumed, message));
        }
        Placed {
            number: unit.number,
            machine: unit.machine.clone(),
            ingress,
            public: unit.public,
            is_leader: unit.is_leader,
            place: unit.place.clone(),
        }
    };
    reported.units.iter().map(placed).collect()
}

/// Which of a machine's addresses a relation uses: the public one unless that is one of the outside world and another is
/// not.
fn ingress(own: &[IpAddr], public: Option<IpAddr>) -> Option<IpAddr> {
    let is_private = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    match public {
        Some(public) if is_private(&public) => Some(public),
        Some(_) | None => {
            let private = own.iter().find(|address| is_private(address));
            private.copied().or(public).or(own.first().copied())
        }
    }
}

impl Topology<'_, '_> {
    /// What the charms' rules look at.
    pub(super) fn model(&self, era: Era) -> Model {
        let (bundle, name) = (self.bundle, self.control_plane.name);
        let has = |endpoint| !bundle.related(name, endpoint, &["lb-consumers"], &BALANCER).is_empty();
        let lead = |endpoint: &str, application: &str, peers: &[&str]| {
            let found = |charms: &[&str]| {
                let related = bundle.related(application, endpoint, peers, charms);
                related.iter().any(|(name, _)| {
                    bundle.applications.get(name).is_some_and(|other| charms.contains(&other.charm))
                })
            };
            match (found(&KEEPALIVED), found(&BALANCER)) {
                (true, _) => Some(Provider::Keepalived),
                (false, true) => Some(Provider::Balancer),
                (false, false) => None,
            }
        };
        let workers = bundle.with_charm(&WORKER);
        let worker_kube_api_endpoint =
            workers.iter().find_map(|(name, _)| lead("kube-api-endpoint", name, &["website"]));
        let worker_units = workers.iter().filter_map(|(name, _)| self.status.applications.get(*name));
        let worker_numbers: BTreeSet<u32> =
            worker_units.flat_map(|workers| workers.units.iter().map(|unit| unit.number)).collect();
        Model {
            era,
            control_plane: ControlPlane {
                units: self.control_plane.units.iter().map(unit).collect(),
                forced: self.forced(&self.control_plane),
                loadbalancer: lead("loadbalancer", name, &["loadbalancer"]),
                has_external: has("loadbalancer-external"),
                has_internal: has("loadbalancer-internal"),
            },
            balancer: self.balancer.as_ref().map(|part| self.balancer_model(part)),
            outer_balancer: self.outer_balancer.as_ref().map(|part| self.balancer_model(part)),
            keepalived: self.keepalived.map(|(_, application)| keepalived(application)),
            worker_kube_api_endpoint,
            workers: worker_numbers.into_iter().collect(),
        }
    }

    fn balancer_model(&self, part: &Part<'_, '_>) -> Balancer {
        let leader = part.units.iter().find(|unit| unit.is_leader).or(part.units.first());
        Balancer {
            units: part.units.iter().map(unit).collect(),
            forced: self.forced(part),
            leader: leader.map_or(0, |leader| leader.number),
            is_down: false,
            port: port(part.application),
        }
    }

    pub(super) fn forced(&self, part: &Part<'_, '_>) -> Forced {
        Forced {
            loadbalancer_ips: part.application.words("loadbalancer-ips"),
            ha_cluster_vip: part.application.words("ha-cluster-vip"),
            ha_cluster_dns: part.application.words("ha-cluster-dns"),
            is_ha_related: self.hacluster(part.name).is_some(),
        }
    }

    /// The hacluster application that `name` is related to.
    pub(super) fn hacluster(&self, name: &str) -> Option<&str> {
        self.bundle.related(name, "ha", &["ha"], &HACLUSTER).first().map(|(name, _)| *name)
    }

    /// The parts that keepalived runs on: the applications it is subordinate to.
    pub(super) fn keepalived_hosts(&self) -> BTreeMap<&str, &Part<'_, '_>> {
        let Some((name, _)) = self.keepalived else { return BTreeMap::new() };
        let hosts: BTreeSet<&str> = self
            .bundle
            .related(name, "juju-info", &["juju-info"], &[])
            .iter()
            .map(|(host, _)| *host)
            .collect();
        let parts = [Some(&self.control_plane), self.balancer.as_ref(), self.outer_balancer.as_ref()];
        parts
            .into_iter()
            .flatten()
            .filter(|part| hosts.contains(part.name))
            .map(|part| (part.name, part))
            .collect()
    }
}

fn unit(placed: &Placed) -> Unit {
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let ingress = text(placed.ingress);
    Unit {
        number: placed.number,
        public: text(placed.public.or(placed.ingress)),
        bind: ingress.clone(),
        ingress,
    }
}

/// What the charm's option `port` says, or 443.
pub(super) fn port(application: &Application<'_>) -> u16 {
    let port = application.option("port").and_then(|(text, _)| text.parse::<u16>().ok());
    port.filter(|port| *port != 0).unwrap_or(EXTERNAL_PORT)
}

fn keepalived(application: &Application<'_>) -> Keepalived {
    let text = |option| application.option(option).map(|(text, _)| text.trim()).unwrap_or_default();
    let vip = text("virtual_ip").split('/').next().unwrap_or_default();
    Keepalived { vip: vip.to_owned(), hostname: text("vip_hostname").to_owned(), port: port(application) }
}
