//! What is wrong with a set-up of the charms: the mistakes that are common because relations, options and certificates are
//! kept apart. All of them are gone in the description that is made of it.

use super::bundle::place;
use super::describe::ROUTER_ID;
use super::model::{Era, Forced, Model, Provider};
use super::topology::{BALANCER, CLOUD, HACLUSTER, Part, Topology};
use crate::import::{Place, Remark, RemarkKind};

/// Charms that have no say in how API servers are reached.
const IRRELEVANT: [&str; 26] = [
    "aws-cloud-provider",
    "aws-k8s-storage",
    "azure-cloud-provider",
    "calico",
    "canal",
    "ceph-csi",
    "ceph-fs",
    "ceph-mon",
    "ceph-osd",
    "cinder-csi",
    "containerd",
    "coredns",
    "docker",
    "docker-registry",
    "easyrsa",
    "etcd",
    "flannel",
    "kubernetes-control-plane",
    "kubernetes-e2e",
    "kubernetes-master",
    "kubernetes-worker",
    "kube-ovn",
    "kubeapi-load-balancer",
    "ntp",
    "telegraf",
    "vault",
];
/// Of the hacluster charm's option `cluster_count`.
const QUORUM: usize = 3;

/// Everything that is wrong or not understood.
pub(super) fn remarks(topology: &Topology<'_, '_>, model: &Model) -> Vec<Remark> {
    let mut lint = Lint { topology, model, remarks: Vec::new() };
    lint.virtual_ip();
    lint.certificates();
    lint.forced();
    lint.hacluster();
    lint.balancers();
    lint.era();
    lint.clouds();
    lint.left_out();
    lint.remarks
}

struct Lint<'a, 'b, 't> {
    topology: &'a Topology<'b, 't>,
    model: &'a Model,
    remarks: Vec<Remark>,
}

impl<'b, 't> Lint<'_, 'b, 't> {
    fn defect(&mut self, at: &Place, message: impl Into<String>) {
        self.remarks.push(at.remark(RemarkKind::SourceDefect, message));
    }

    fn part(&self, part: &Part<'_, '_>) -> Place {
        place(&part.application.at)
    }

    /// Keepalived's address, and whether anybody is told of it.
    fn virtual_ip(&mut self) {
        let (Some((_, application)), Some(keepalived)) = (self.topology.keepalived, &self.model.keepalived)
        else {
            return;
        };
        let Some((_, at)) = application.option("virtual_ip") else { return };
        let endpoints: Vec<_> =
            self.model.external_endpoints().into_iter().chain(self.model.internal_endpoints()).collect();
        let is_it = |host: &str| host == keepalived.vip || host == keepalived.hostname;
        let advertised: Vec<u16> =
            endpoints.iter().filter(|(host, _)| is_it(host)).map(|(_, port)| *port).collect();
        if advertised.is_empty() {
            let message = format!(
                "the VIP {} is configured and not advertised: nobody is told to use it; to use it, name it in \
                 access.internal and access.external (mode: virtual-ip)",
                keepalived.vip
            );
            self.defect(&at, message);
        }
        if let Some(port) = advertised.iter().find(|port| **port != keepalived.port) {
            let message = format!(
                "keepalived checks port {}, but clients are told to use port {port}: it keeps the address where that is dead",
                keepalived.port
            );
            self.defect(&at, message);
        }
        if application.option("router_id").is_none_or(|(id, _)| id == ROUTER_ID.to_string()) {
            let message = format!(
                "router_id is {ROUTER_ID}, the charm's default: two clusters on one network would share a virtual router"
            );
            self.defect(&at, message);
        }
    }

    /// The addresses that move have to be in both lists of names.
    fn certificates(&mut self) {
        let (Some((_, application)), Some(keepalived)) = (self.topology.keepalived, &self.model.keepalived)
        else {
            return;
        };
        let Some((_, at)) = application.option("virtual_ip") else { return };
        let parts = [Some(&self.topology.control_plane), self.topology.balancer.as_ref()];
        let mut lacking = Vec::new();
        for part in parts.into_iter().flatten() {
            let options = ["extra_sans", "loadbalancer-ips", "ha-cluster-vip", "ha-cluster-dns"];
            let names: Vec<String> =
                options.iter().flat_map(|option| part.application.words(option)).collect();
            for name in [&keepalived.vip, &keepalived.hostname] {
                if !name.is_empty() && !names.contains(name) {
                    lacking.push(format!("{name} is not among the extra_sans of {}", part.name));
                }
            }
        }
        for message in lacking {
            self.defect(&at, format!("{message}, so its certificate may not hold it; the plan's does"));
        }
    }

    /// Addresses that win over relations which are there all the same.
    fn forced(&mut self) {
        let part = &self.topology.control_plane;
        let forced = self.topology.forced(part);
        let Some((ips, at)) = part.application.option("loadbalancer-ips") else { return };
        let relations = self.model.control_plane.has_external
            || self.model.control_plane.has_internal
            || self.model.control_plane.loadbalancer.is_some();
        if relations {
            let message = format!(
                "loadbalancer-ips ({ips}) win over the relations to a balancer, whose answers nobody uses"
            );
            self.defect(&at, message);
        }
        let (internal, external) =
            (self.model.control_plane.has_internal, self.model.control_plane.has_external);
        if external && !internal {
            let message = "loadbalancer-ips stand for port 6443, and loadbalancer-external alone is related: the balancer \
                           listens on 443 alone";
            self.defect(&at, message);
        }
        if self.model.worker_kube_api_endpoint == Some(Provider::Balancer) && self.model.era != Era::O {
            let message = "loadbalancer-ips of the control plane do not reach the workers, which are related to the \
                           balancer: people and workers use different addresses";
            self.defect(&at, message);
        }
        if self.model.era == Era::O && forced.loadbalancer_ips.len() > 1 {
            let message = format!("of loadbalancer-ips ({ips}) the first alone is used; here all are");
            self.defect(&at, message);
        }
    }

    fn hacluster(&mut self) {
        let parts = [
            Some(&self.topology.control_plane),
            self.topology.balancer.as_ref(),
            self.topology.outer_balancer.as_ref(),
        ];
        for part in parts.into_iter().flatten() {
            let forced = self.topology.forced(part);
            self.ha_options(part, &forced);
            if forced.is_ha_related && part.units.len() < QUORUM {
                let message = format!(
                    "hacluster on {} units of {} has no quorum once one is gone",
                    part.units.len(),
                    part.name
                );
                self.defect(&self.part(part), message);
            }
        }
        for (name, application) in self.topology.bundle.with_charm(&HACLUSTER) {
            if application.option("corosync_key").is_none() {
                let message = format!("{name} has the default corosync_key, which is published");
                self.defect(&place(&application.at), message);
            }
        }
    }

    fn ha_options(&mut self, part: &Part<'_, '_>, forced: &Forced) {
        let vip = part.application.option("ha-cluster-vip");
        let dns = part.application.option("ha-cluster-dns");
        let Some((_, at)) = vip.as_ref().or(dns.as_ref()) else { return };
        if !forced.is_ha_related {
            let message = format!(
                "ha-cluster-vip or -dns is set, but {} is not related to hacluster: it has no effect",
                part.name
            );
            self.defect(at, message);
        }
        if vip.is_some() && dns.is_some() {
            let message = "ha-cluster-vip and ha-cluster-dns exclude each other: up to 1.28 nothing is configured, later a hook fails";
            self.defect(at, message);
        }
    }

    fn balancers(&mut self) {
        for (name, application) in self.topology.bundle.with_charm(&BALANCER) {
            let at = place(&application.at);
            let units = self.topology.status.applications.get(name).map_or(0, |found| found.units.len());
            let parts = [self.topology.balancer.as_ref(), self.topology.outer_balancer.as_ref()];
            let part = parts.into_iter().flatten().find(|part| part.name == name);
            let Some(part) = part else {
                let message = format!("{name} serves no relation of the control plane: it is left out");
                self.remarks.push(at.remark(RemarkKind::NotUnderstood, message));
                continue;
            };
            let has_vip =
                !self.topology.forced(part).addresses().is_empty() || self.topology.keepalived.is_some();
            if units > 1 && !has_vip {
                let message = format!(
                    "{units} units of {name} without a VIP: when one dies, those who use it do not move"
                );
                self.defect(&at, message);
            }
            let seconds = application.option("proxy_read_timeout").map_or("600", |(seconds, _)| seconds);
            let message = format!(
                "{name} ends TLS and cuts what is silent for {seconds} s; bowline passes TLS through, so client certificates \
                 work, and cuts no silent connection"
            );
            self.remarks.push(at.remark(RemarkKind::Differs, message));
            for (option, value) in &application.options {
                if option.starts_with("nginx-") && value.scalar().is_some_and(|text| !text.trim().is_empty())
                {
                    let message = format!("{option} has no counterpart");
                    self.remarks.push(place(value).remark(RemarkKind::NotUnderstood, message));
                }
            }
        }
        if let Some(outer) = &self.topology.outer_balancer {
            let message =
                format!("{} is for people alone; here every balancer serves both sides", outer.name);
            self.remarks.push(self.part(outer).remark(RemarkKind::Differs, message));
        }
    }

    /// What the era itself makes of the model.
    fn era(&mut self) {
        let at = self.part(&self.topology.control_plane);
        let internal = self.model.internal_endpoints();
        if self.model.era == Era::O && internal.len() > 1 {
            let message = "which API server the workers use is arbitrary and may change at every hook (charms from 1.29)";
            self.defect(&at, message);
        }
        let relations = [self.model.control_plane.loadbalancer, self.model.worker_kube_api_endpoint];
        if self.model.era == Era::O && relations.iter().any(Option::is_some) {
            let message = "charms from 1.29 do not look at the relations loadbalancer and kube-api-endpoint";
            self.defect(&at, message);
        }
        let has_newer = self.model.control_plane.has_external || self.model.control_plane.has_internal;
        if self.model.era == Era::L && has_newer {
            let message = "charms up to 1.21 have no relation loadbalancer-external or -internal";
            self.defect(&at, message);
        }
    }

    /// Balancers that the cloud makes: their addresses are in neither file.
    fn clouds(&mut self) {
        for (name, application) in self.topology.bundle.with_charm(&CLOUD) {
            let endpoints = ["loadbalancer-external", "loadbalancer-internal", "loadbalancer"];
            let is_front = endpoints.iter().any(|endpoint| {
                let peers = ["lb-consumers", "loadbalancer"];
                let related =
                    self.topology.bundle.related(self.topology.control_plane.name, endpoint, &peers, &CLOUD);
                related.iter().any(|(other, _)| *other == name)
            });
            if is_front {
                let message = format!(
                    "the balancer that {name} makes has an address that is in neither file; say `mode: external` and its \
                     `address:` in access"
                );
                self.remarks.push(place(&application.at).remark(RemarkKind::NotUnderstood, message));
            }
        }
    }

    fn left_out(&mut self) {
        for (name, application) in &self.topology.bundle.applications {
            let charm = application.charm;
            let is_known = IRRELEVANT.contains(&charm)
                || CLOUD.contains(&charm)
                || HACLUSTER.contains(&charm)
                || charm == "keepalived";
            let at = place(&application.at);
            if charm == "haproxy" {
                let message = format!(
                    "{name} (haproxy) may stand before the API servers; `bowline import haproxy` reads its file"
                );
                self.remarks.push(at.remark(RemarkKind::NotUnderstood, message));
            } else if !is_known {
                let message = format!("{name} (charm {charm}) is not looked at");
                self.remarks.push(at.remark(RemarkKind::NotUnderstood, message));
            } else if charm == "kubernetes-worker"
                && application.option("ingress").is_none_or(|(on, _)| on != "false")
            {
                let message = format!(
                    "{name} answers on 80 and 443 of every worker (ingress: true) without a balancer; spec.ingress can have one"
                );
                self.remarks.push(at.remark(RemarkKind::Differs, message));
            }
        }
    }
}
