//! How the API servers are reached, from inside and from outside.

use core::num::NonZeroU16;

use super::{Checker, text};
use crate::cluster::{Access, Front, Mode, Node, NodeRole, VirtualIp};
use crate::description as raw;
use crate::source::Path;

/// Names or addresses of one side.
const NAMES_LIMIT: usize = 128;

/// What a side's mode may refer to.
struct Surroundings<'a> {
    has_balancers: bool,
    virtual_ips: &'a [VirtualIp],
}

impl Checker<'_, '_> {
    /// The internal side and the external one.
    pub(super) fn access(
        &mut self,
        at: &Path,
        given: raw::Access,
        nodes: &[Node],
        virtual_ips: &[VirtualIp],
        api_server_port: NonZeroU16,
    ) -> (Access, Access) {
        let has_balancers = nodes.iter().any(|node| node.roles.contains(&NodeRole::LoadBalancer));
        let surroundings = Surroundings { has_balancers, virtual_ips };
        let internal_default = raw::Mode::NodeLocal;
        let external_default = match (virtual_ips, has_balancers) {
            ([_, ..], _) => raw::Mode::VirtualIp,
            ([], true) => raw::Mode::LoadBalancer,
            ([], false) => raw::Mode::Direct,
        };
        let internal =
            self.side(&at.key("internal"), &given.internal, internal_default, &surroundings, api_server_port);
        let external =
            self.side(&at.key("external"), &given.external, external_default, &surroundings, api_server_port);
        (internal, external)
    }

    fn side(
        &mut self,
        at: &Path,
        given: &raw::AccessSide,
        default: raw::Mode,
        surroundings: &Surroundings<'_>,
        api_server_port: NonZeroU16,
    ) -> Access {
        let names = self.list(&at.key("names"), &given.names, text::dns_name);
        if given.names.len() > NAMES_LIMIT {
            self.problem(&at.key("names"), "too many names", format!("at most {NAMES_LIMIT} are possible"));
        }
        let mode = given.mode.unwrap_or(default);
        let port = given.port.and_then(NonZeroU16::new).unwrap_or(api_server_port);
        let spec = Path::root().key("spec");
        // The default follows from whether there are virtual IPs and balancers.
        let is_default_known = self.findings.knows_length(&spec.key("virtualIPs")) && self.knows_roles();
        let is_mode_known = self.knows(&at.key("mode")) && (given.mode.is_some() || is_default_known);
        if is_mode_known {
            self.refuse_foreign_fields(at, given, mode);
            let knows_ports =
                self.knows_fields(&spec.key("apiServer"), &["port"]) && self.knows(&at.key("port"));
            if mode == raw::Mode::Direct && port != api_server_port && knows_ports {
                self.refuse_port_of_nobody(&at.key("port"), port, api_server_port);
            }
        } else if mode != raw::Mode::VirtualIp && given.virtual_ips.is_some() {
            // Meant for the mode that is not known: what it names has to be there all the same.
            self.chosen(at, given, surroundings.virtual_ips);
        }
        let mode = self.mode(at, given, mode, port, surroundings);
        Access { mode, mode_given: given.mode.is_some(), port, names }
    }

    /// Without a balancer of any kind, clients find what the API server has opened.
    fn refuse_port_of_nobody(&mut self, path: &Path, port: NonZeroU16, api_server_port: NonZeroU16) {
        let message = format!(
            "port {port}, but in mode direct clients connect to the API server, which has {api_server_port}"
        );
        let remedy = "remove the port; or, for a balancer with that port, say `mode: external` and give its `address:`";
        self.problem(path, message, remedy);
    }

    /// Fields that only another mode looks at were meant for something.
    fn refuse_foreign_fields(&mut self, at: &Path, given: &raw::AccessSide, mode: raw::Mode) {
        let fields = [
            ("address", given.address.is_some(), raw::Mode::External, "external"),
            ("addresses", !given.addresses.is_empty(), raw::Mode::External, "external"),
            ("virtualIPs", given.virtual_ips.is_some(), raw::Mode::VirtualIp, "virtual-ip"),
        ];
        for (field, is_given, owner, owner_name) in fields {
            if is_given && mode != owner {
                let message = format!("means nothing here, only in mode {owner_name}");
                self.problem(&at.key(field), message, format!("remove it, or say `mode: {owner_name}`"));
            }
        }
    }

    fn mode(
        &mut self,
        at: &Path,
        given: &raw::AccessSide,
        mode: raw::Mode,
        port: NonZeroU16,
        surroundings: &Surroundings<'_>,
    ) -> Mode {
        match mode {
            raw::Mode::NodeLocal => Mode::NodeLocal,
            raw::Mode::Direct => Mode::Direct,
            raw::Mode::LoadBalancer => {
                if self.knows_roles() && !surroundings.has_balancers {
                    let remedy = "give at least one node the role load-balancer, or choose another mode";
                    self.problem(&at.key("mode"), "load-balancer, but no node has that role", remedy);
                }
                Mode::LoadBalancer
            }
            raw::Mode::VirtualIp => Mode::VirtualIp(self.chosen(at, given, surroundings.virtual_ips)),
            raw::Mode::External => Mode::External(self.fronts(at, given, port)),
        }
    }

    /// Indices of the virtual IPs that the side names, or of all.
    fn chosen(&mut self, at: &Path, given: &raw::AccessSide, virtual_ips: &[VirtualIp]) -> Vec<usize> {
        let list = Path::root().key("spec").key("virtualIPs");
        let Some(names) = &given.virtual_ips else {
            let is_length_known = self.findings.knows_length(&list) && self.knows(&at.key("virtualIPs"));
            if is_length_known && virtual_ips.is_empty() {
                let remedy = "describe one under spec.virtualIPs, or choose another mode";
                self.problem(&at.key("mode"), "virtual-ip, but there is none", remedy);
            }
            return (0..virtual_ips.len()).collect();
        };
        let at = at.key("virtualIPs");
        self.refuse_twice(&at, names);
        if names.is_empty() {
            self.problem(&at, "an empty list", "name at least one virtual IP, or remove the line: all");
        }
        let mut chosen = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if let Some(position) = virtual_ips.iter().position(|vip| vip.name == *name) {
                chosen.push(position);
            } else if self.knows(&at.index(index))
                && self.can_be_name(&at.index(index), name)
                && self.findings.knows_all(&list, "name")
            {
                let known: Vec<&str> = virtual_ips.iter().map(|vip| vip.name.as_str()).collect();
                let known = known.join(", ");
                let message = format!("no virtual IP is named {}", crate::source::excerpt(name));
                let remedy = if known.is_empty() {
                    "describe it under spec.virtualIPs".to_owned()
                } else {
                    format!("there are: {known}")
                };
                self.problem(&at.index(index), message, remedy);
            }
        }
        chosen
    }

    fn fronts(&mut self, at: &Path, given: &raw::AccessSide, port: NonZeroU16) -> Vec<Front> {
        let mut fronts = Vec::new();
        if let Some(address) = &given.address {
            let host = self.read(&at.key("address"), text::host(address));
            fronts.extend(host.map(|host| Front { host, port }));
        }
        let read = |text: &str| text::front(text, port);
        for front in self.list(&at.key("addresses"), &given.addresses, read) {
            if fronts.contains(&front) {
                self.given_twice(&at.key("addresses"), &front);
            } else {
                fronts.push(front);
            }
        }
        if self.knows_fields(at, &["address", "addresses"])
            && given.address.is_none()
            && given.addresses.is_empty()
        {
            let remedy = "give the `address:` of the balancer, and its `port:` when it is another than the API servers'";
            self.problem(&at.key("address"), "mode external, but no address", remedy);
        }
        fronts
    }
}
