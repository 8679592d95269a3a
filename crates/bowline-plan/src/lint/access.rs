//! How the sides reach the API servers: by whom alone, by whom unused, by whom unknown.

use super::codes::Code;
use super::{Lint, named, side, spec};
use crate::cluster::{Mode, Node, NodeRole};
use crate::planner::{carries_ingress, is_served_by_own_api_server};

impl Lint<'_> {
    pub(super) fn access(&mut self) {
        self.single_points_of_failure();
        self.etcd_count();
        self.unused();
        self.control_plane_not_ha();
        self.external_balancers();
        self.ingress();
    }

    fn single_points_of_failure(&mut self) {
        let cluster = self.cluster;
        let mut control_planes = cluster.with_role(NodeRole::ControlPlane);
        let first = control_planes.next();
        if let (Some(only), None) = (first, control_planes.next()) {
            let message = format!("{} runs the only API server", only.name);
            let remedy = "give two more nodes the role control-plane";
            self.add(Code::SINGLE_API_SERVER, &spec().key("nodes"), message, remedy);
        }
        let balancers: Vec<&str> =
            cluster.with_role(NodeRole::LoadBalancer).map(|node| node.name.as_str()).collect();
        for (name, access) in self.sides() {
            let path = side(name).key("mode");
            match (&access.mode, balancers.as_slice()) {
                (Mode::Direct, _) => {
                    let node = first.map(|node| node.name.as_str()).unwrap_or_default();
                    let message = format!("{name} clients use the API server of {node} alone");
                    let remedy = "give a node the role load-balancer, describe a virtual IP, or use an external balancer";
                    self.add(Code::SPOF, &path, message, remedy);
                }
                (Mode::LoadBalancer, [only]) => {
                    let message = format!("{name} clients use the balancer {only} alone");
                    self.add(Code::SPOF, &path, message, "give another node the role load-balancer");
                }
                (Mode::LoadBalancer, [first, ..]) if name == "external" && access.names.is_empty() => {
                    let message =
                        format!("without a name, external clients use the first balancer, {first}, alone");
                    let remedy =
                        "give `names:` that resolve to all balancers, or describe a virtual IP on them";
                    self.add(Code::SPOF, &side(name), message, remedy);
                }
                (Mode::VirtualIp(chosen), _) => {
                    for vip in chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index)) {
                        if let [only] = vip.on.as_slice() {
                            let message = format!("virtual IP {} can be on {only} alone", vip.name);
                            self.add(Code::SPOF, &path, message, "let it be on at least two nodes");
                        }
                    }
                }
                (Mode::LoadBalancer | Mode::NodeLocal | Mode::External(_), _) => {}
            }
        }
    }

    fn etcd_count(&mut self) {
        let count = self.cluster.with_role(NodeRole::Etcd).count();
        if count > 0 && count.is_multiple_of(2) {
            let message =
                format!("{count} etcd members survive as many failures as {}", count.saturating_sub(1));
            self.add(Code::ETCD_COUNT_EVEN, &spec().key("nodes"), message, "use 3 or 5");
        }
    }

    fn unused(&mut self) {
        let cluster = self.cluster;
        let modes = [&cluster.internal().mode, &cluster.external().mode];
        let balancers: Vec<&str> =
            cluster.with_role(NodeRole::LoadBalancer).map(|node| node.name.as_str()).collect();
        let holds_vip =
            |name: &str| cluster.virtual_ips().iter().any(|vip| vip.on.iter().any(|node| node == name));
        let is_needed = modes.contains(&&Mode::LoadBalancer) || !cluster.ingress().is_empty();
        if !is_needed && balancers.iter().any(|name| !holds_vip(name)) {
            let message = format!("nobody uses the balancers on {}", named(&balancers));
            let remedy = "say `mode: load-balancer` for the side that should, or take the role away";
            self.add(Code::BALANCER_UNUSED, &spec().key("access"), message, remedy);
        }
        for (index, vip) in cluster.virtual_ips().iter().enumerate() {
            let is_used =
                modes.iter().any(|mode| matches!(mode, Mode::VirtualIp(chosen) if chosen.contains(&index)));
            if !is_used && !carries_ingress(cluster, vip) {
                let message = format!("nobody is told to use virtual IP {}", vip.name);
                let remedy = "say `mode: virtual-ip` for the side that should, or remove it";
                self.add(Code::VIRTUAL_IP_UNUSED, &spec().key("virtualIPs").index(index), message, remedy);
            }
        }
    }

    fn control_plane_not_ha(&mut self) {
        let cluster = self.cluster;
        let access = cluster.internal();
        let is_alone = |node: &&Node| match access.mode {
            Mode::NodeLocal | Mode::LoadBalancer => is_served_by_own_api_server(cluster, node, access.port),
            Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => true,
        };
        let control_planes = cluster.with_role(NodeRole::ControlPlane);
        let alone: Vec<&str> = control_planes.filter(is_alone).map(|node| node.name.as_str()).collect();
        if alone.len() > 1 {
            let port = cluster.api_server().port;
            let message =
                format!("components on {} use their own API server alone, at port {port}", named(&alone));
            let remedy = match access.mode {
                Mode::NodeLocal | Mode::LoadBalancer => {
                    "set another port than the API servers', and point the components there at it"
                }
                Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => {
                    "say `mode: node-local` with another port than the API servers', and point the components there at it"
                }
            };
            self.add(Code::CONTROL_PLANE_NOT_HA, &side("internal").key("port"), message, remedy);
        }
    }

    fn external_balancers(&mut self) {
        for (name, access) in self.sides() {
            if let Mode::External(fronts) = &access.mode {
                let hosts: Vec<String> = fronts.iter().map(|front| front.host.to_string()).collect();
                let message =
                    format!("{name} clients depend on {}, which is not described here", hosts.join(", "));
                let remedy = "make sure that it is redundant and that it checks /readyz over TLS";
                self.add(Code::EXTERNAL_BALANCER_UNKNOWN, &side(name), message, remedy);
            }
        }
        let before: Vec<String> = self.cluster.etcd_balancers().map(|front| front.host.to_string()).collect();
        if !before.is_empty() {
            let message = format!(
                "the API servers depend on {} for etcd, which is not described here",
                before.join(", ")
            );
            let remedy = "make sure that it is redundant, lets TLS and HTTP/2 through untouched, and cuts no quiet connection";
            self.add(
                Code::EXTERNAL_BALANCER_UNKNOWN,
                &spec().key("etcd").key("accessAddresses"),
                message,
                remedy,
            );
        }
        if matches!(self.cluster.external().mode, Mode::NodeLocal) {
            let message = "clients elsewhere have no way in: nodes listen on their loopback addresses alone";
            let remedy = "choose another mode, unless everybody works on a node";
            self.add(Code::EXTERNAL_ON_NODES_ONLY, &side("external").key("mode"), message, remedy);
        }
    }

    fn ingress(&mut self) {
        let cluster = self.cluster;
        if cluster.ingress().is_empty() {
            return;
        }
        let unknown = cluster.with_role(NodeRole::Worker).filter(|node| node.access_address.is_none());
        let unknown: Vec<&str> = unknown.map(|node| node.name.as_str()).collect();
        if !unknown.is_empty() {
            let message = format!("{} have no address, so no connection goes to them", named(&unknown));
            let remedy = "give every worker its `addresses:`";
            self.add(Code::INGRESS_NOT_SERVED, &spec().key("ingress"), message, remedy);
        }
        let has_balancer = cluster.with_role(NodeRole::LoadBalancer).next().is_some();
        let has_address = cluster.virtual_ips().iter().any(|vip| carries_ingress(cluster, vip));
        if !has_balancer && !has_address {
            let message = "nobody takes connections for the workers";
            let remedy = "give nodes the role load-balancer, or describe a virtual IP on workers";
            self.add(Code::INGRESS_NOT_SERVED, &spec().key("ingress"), message, remedy);
        } else if cluster.with_role(NodeRole::Worker).nth(1).is_some() {
            let message = "a connection goes to any worker, and from there to wherever its pod is";
            let remedy =
                "nothing; or run the ingress controller on every worker, with externalTrafficPolicy: Local";
            self.add(Code::INGRESS_EXTRA_HOP, &spec().key("ingress"), message, remedy);
        }
    }
}
