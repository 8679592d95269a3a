//! What HAProxy's settings become.

use super::Assembler;
use crate::description::Policy;
use crate::import::haproxy::{Front, Haproxy};
use crate::import::{Place, RemarkKind};

/// Connections that a description may ask for.
const CONNECTIONS: core::ops::RangeInclusive<u32> = 1..=10_000_000;
/// Of probes that a description may ask for.
const PROBES: core::ops::RangeInclusive<u32> = 1..=100;

impl Assembler<'_> {
    pub(super) fn balancing(&mut self, front: &Front, haproxy: &Haproxy) {
        let settings = &front.settings;
        match &settings.balance {
            // Round robin is what HAProxy does by default, and so nobody's choice.
            None => {
                let message =
                    "no `balance`: HAProxy takes turns, bowline sends to whoever has the fewest connections";
                self.draft.remark(RemarkKind::Differs, &front.place, message);
            }
            Some((balance, place)) => self.policy(balance, place),
        }
        for (what, timeout) in [("client", &settings.timeout_client), ("server", &settings.timeout_server)] {
            if let Some((time, place)) = timeout {
                let message = format!(
                    "timeout {what} {time}: HAProxy cuts a connection that is silent for so long; bowline cuts none, and finds \
                     out by keep-alive whether its ends are there"
                );
                self.draft.remark(RemarkKind::Differs, place, message);
            }
        }
        self.checks(front);
        if let Some((connections, place)) = settings.maxconn.as_ref().or(haproxy.maxconn.as_ref()) {
            self.draft.spec.balancing.connections =
                Some(*connections).filter(|number| CONNECTIONS.contains(number));
            self.draft.came_from("spec.balancing.connections", place);
        }
    }

    fn policy(&mut self, balance: &str, place: &Place) {
        let algorithm = balance.split_whitespace().next().unwrap_or_default();
        let (policy, differs) = match algorithm {
            "roundrobin" | "static-rr" => (Some(Policy::RoundRobin), None),
            "leastconn" => (Some(Policy::LeastConnections), None),
            "first" => (Some(Policy::Sticky), Some("bowline fills the first server without a limit")),
            _ if algorithm.starts_with("random") => (Some(Policy::RandomOfTwo), None),
            _ => (None, Some("it has no counterpart: bowline's default is taken")),
        };
        self.draft.spec.balancing.policy = policy;
        if let Some(differs) = differs {
            self.draft.remark(RemarkKind::Differs, place, format!("balance {balance}: {differs}"));
        }
    }

    /// Counts are kept; how often servers are asked is not, because bowline's probes are at least as quick to find out.
    fn checks(&mut self, front: &Front) {
        let settings = &front.settings;
        let place = front.servers.first().map_or(&front.place, |server| &server.place);
        if !settings.is_checked {
            let message = "servers without `check` are used when they are dead; bowline always asks";
            self.draft.remark(RemarkKind::SourceDefect, place, message);
        }
        if let Some((check, place)) = &settings.check {
            let message = match check.as_str() {
                "ssl-hello-chk" => {
                    "option ssl-hello-chk: any answer to an SSLv3 hello is good, ready or not; bowline asks /readyz over TLS"
                }
                "httpchk" => "option httpchk: bowline asks /readyz and, where that fails, /livez over TLS",
                _ => "option tcp-check: bowline asks /readyz over TLS",
            };
            self.draft.remark(RemarkKind::Differs, place, message);
        }
        let counts = |number: Option<u32>| number.filter(|number| PROBES.contains(number));
        self.draft.spec.balancing.rise = counts(settings.rise);
        self.draft.spec.balancing.fall = counts(settings.fall);
        if let Some((inter, place)) = &settings.inter {
            let message = format!(
                "inter {inter}: balancers probe every second, and ten times as often while something changes"
            );
            self.draft.remark(RemarkKind::Differs, place, message);
        }
    }
}
