//! Reads a model that is written down as such.

use super::model::{
    API_PORT, Balancer, ControlPlane, EXTERNAL_PORT, Era, Forced, Keepalived, Model, Provider, Unit, WORKERS,
};
use crate::import::cursor::Cursor;
use crate::problem::Problem;

/// Units of one application; Juju itself is slow long before.
const UNITS_LIMIT: usize = 20_000;

/// The model in a file. `era` wins over the one in it.
pub(super) fn model(root: &Cursor<'_>, era: Option<Era>) -> Result<Model, Vec<Problem>> {
    let mut reader = Reader::default();
    let model = reader.model(root, era);
    match model {
        Some(model) if reader.problems.is_empty() => Ok(model),
        Some(_) | None => Err(reader.problems),
    }
}

/// The era that a word stands for.
pub(super) fn era(word: &str) -> Option<Era> {
    match word {
        "L" | "l" => Some(Era::L),
        "M" | "m" => Some(Era::M),
        "O" | "o" => Some(Era::O),
        _ => None,
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn model(&mut self, root: &Cursor<'_>, era: Option<Era>) -> Option<Model> {
        if !root.is_mapping() {
            let remedy = "give an object with era, cp, lb, keepalived, worker_kube_api_endpoint and workers";
            self.problems.push(root.problem(format!("{} is no model", root.shown()), remedy));
            return None;
        }
        let known = ["era", "cp", "lb", "keepalived", "worker_kube_api_endpoint", "workers"];
        self.refuse_unknown(root, &known);
        let era = era.or_else(|| self.era(root));
        let control_plane = match root.get("cp") {
            Some(at) => self.control_plane(&at),
            None => {
                let remedy = "add `cp` with a list of units";
                self.problems.push(root.problem("no control plane", remedy));
                return None;
            }
        };
        let balancer = root.get("lb").map(|at| self.balancer(&at, era));
        let keepalived = root.get("keepalived").map(|at| self.keepalived(&at));
        let worker_kube_api_endpoint = self.provider(root, "worker_kube_api_endpoint");
        let workers = root.get("workers").map_or(WORKERS.to_vec(), |at| self.workers(&at));
        Some(Model {
            era: era?,
            control_plane,
            balancer,
            outer_balancer: None,
            keepalived,
            worker_kube_api_endpoint,
            workers,
        })
    }

    fn refuse_unknown(&mut self, at: &Cursor<'_>, known: &[&str]) {
        let unknown = at.entries().into_iter().filter(|(key, _)| !known.contains(key));
        let remedy = format!("known here: {}", known.join(", "));
        let problems = unknown.map(|(_, field)| field.problem("unknown field", remedy.clone()));
        self.problems.extend(problems);
    }

    fn era(&mut self, root: &Cursor<'_>) -> Option<Era> {
        let remedy = "write L (up to 1.21), M (1.22 to 1.28) or O (from 1.29), or give --era";
        let Some(at) = root.get("era") else {
            self.problems.push(root.problem("no era", remedy));
            return None;
        };
        let era = at.scalar().and_then(era);
        if era.is_none() {
            self.problems.push(at.problem(format!("{} is no era", at.shown()), remedy));
        }
        era
    }

    fn control_plane(&mut self, at: &Cursor<'_>) -> ControlPlane {
        let options = ["loadbalancer-ips", "ha-cluster-vip", "ha-cluster-dns", "ha_related"];
        let known = ["units", "rel_loadbalancer", "rel_ext", "rel_int"];
        self.refuse_unknown(at, &[&options[..], &known].concat());
        ControlPlane {
            units: self.units(at),
            forced: self.forced(at),
            loadbalancer: self.provider(at, "rel_loadbalancer"),
            has_external: self.flag(at, "rel_ext"),
            has_internal: self.flag(at, "rel_int"),
        }
    }

    fn balancer(&mut self, at: &Cursor<'_>, era: Option<Era>) -> Balancer {
        let options = ["loadbalancer-ips", "ha-cluster-vip", "ha-cluster-dns", "ha_related"];
        let known = ["units", "leader", "down", "port"];
        self.refuse_unknown(at, &[&options[..], &known].concat());
        let balancer = Balancer {
            units: self.units(at),
            forced: self.forced(at),
            leader: at.get("leader").and_then(|at| at.number(&mut self.problems)).unwrap_or(0),
            is_down: self.flag(at, "down"),
            port: self.port(at),
        };
        let is_leaderless = !balancer.units.iter().any(|unit| unit.number == balancer.leader);
        let needs_leader =
            era != Some(Era::L) && !balancer.units.is_empty() && balancer.forced.addresses().is_empty();
        if is_leaderless && needs_leader && !balancer.is_down {
            let message = format!("no unit has the number of the leader, {}", balancer.leader);
            self.problems.push(at.problem(message, "give `leader` the number of one of the units"));
        }
        balancer
    }

    fn port(&mut self, at: &Cursor<'_>) -> u16 {
        let port = at.get("port").and_then(|at| {
            let port = at.number::<u16>(&mut self.problems);
            if port == Some(0) {
                let remedy = format!("give one from 1 to 65535, such as {EXTERNAL_PORT} or {API_PORT}");
                self.problems.push(at.problem("0 is not a port", remedy));
            }
            port
        });
        port.unwrap_or(EXTERNAL_PORT)
    }

    fn keepalived(&mut self, at: &Cursor<'_>) -> Keepalived {
        self.refuse_unknown(at, &["vip", "hostname", "port"]);
        let vip = self.text(at, "vip");
        Keepalived {
            vip: vip.split('/').next().unwrap_or_default().to_owned(),
            hostname: self.text(at, "hostname"),
            port: self.port(at),
        }
    }

    fn units(&mut self, at: &Cursor<'_>) -> Vec<Unit> {
        let Some(list) = at.get("units") else { return Vec::new() };
        if !self.is_list(&list) {
            return Vec::new();
        }
        let mut units: Vec<Unit> = Vec::new();
        for item in list.items() {
            self.refuse_unknown(&item, &["n", "public", "ingress", "bind"]);
            let Some(number) = item.get("n").and_then(|at| at.number(&mut self.problems)) else {
                let remedy = "give every unit `n`, its number";
                self.problems.push(item.problem("a unit without its number", remedy));
                continue;
            };
            let (public, ingress) = (self.text(&item, "public"), self.text(&item, "ingress"));
            let bind = Some(self.text(&item, "bind")).filter(|bind| !bind.is_empty());
            units.push(Unit { number, public, bind: bind.unwrap_or_else(|| ingress.clone()), ingress });
        }
        units
    }

    fn is_list(&mut self, at: &Cursor<'_>) -> bool {
        let count = at.items().len();
        if !at.is_list() {
            self.problems.push(at.problem(format!("{} is not a list", at.shown()), "write a list"));
        } else if count > UNITS_LIMIT {
            let remedy = format!("at most {UNITS_LIMIT} are possible");
            self.problems.push(at.problem(format!("{count} units"), remedy));
        }
        at.is_list() && count <= UNITS_LIMIT
    }

    fn forced(&mut self, at: &Cursor<'_>) -> Forced {
        Forced {
            loadbalancer_ips: self.words(at, "loadbalancer-ips"),
            ha_cluster_vip: self.words(at, "ha-cluster-vip"),
            ha_cluster_dns: self.words(at, "ha-cluster-dns"),
            is_ha_related: self.flag(at, "ha_related"),
        }
    }

    fn provider(&mut self, at: &Cursor<'_>, key: &str) -> Option<Provider> {
        let at = at.get(key)?;
        match at.scalar() {
            Some("lb") => Some(Provider::Balancer),
            Some("keepalived") => Some(Provider::Keepalived),
            Some("") => None,
            Some(_) | None => {
                let message = format!("{} is nothing it can be related to", at.shown());
                self.problems.push(at.problem(message, "write lb or keepalived, or leave it out"));
                None
            }
        }
    }

    fn workers(&mut self, at: &Cursor<'_>) -> Vec<u32> {
        if !self.is_list(at) {
            return Vec::new();
        }
        at.items().iter().filter_map(|item| item.number(&mut self.problems)).collect()
    }

    fn flag(&mut self, at: &Cursor<'_>, key: &str) -> bool {
        at.get(key).is_some_and(|at| at.bool(&mut self.problems))
    }

    fn text(&mut self, at: &Cursor<'_>, key: &str) -> String {
        at.get(key).and_then(|at| at.text(&mut self.problems)).unwrap_or_default().to_owned()
    }

    fn words(&mut self, at: &Cursor<'_>, key: &str) -> Vec<String> {
        self.text(at, key).split_whitespace().map(str::to_owned).collect()
    }
}
