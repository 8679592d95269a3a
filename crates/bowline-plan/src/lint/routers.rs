//! Virtual routers that do not do what one would think.

use super::codes::Code;
use super::{Lint, named, spec};
use crate::cluster::{NodeRole, Track, VirtualIp, WhenAllBad};
use crate::source::Path;

/// Priorities that say *able to serve*; the owner's, 255, cannot be lowered while it runs.
const SERVING: core::ops::RangeInclusive<u8> = 129..=254;
/// Numbers that examples and defaults of others have, so that a link is likely to have them already: keepalived's
/// manual and the charm of the same name.
const COMMON_VRIDS: [u8; 2] = [51, 23];

impl Lint<'_> {
    pub(super) fn routers(&mut self) {
        let cluster = self.cluster;
        for (index, vip) in cluster.virtual_ips().iter().enumerate() {
            let at = spec().key("virtualIPs").index(index);
            let vrid = at.key("vrid");
            if !cluster.source.has(&vrid) || COMMON_VRIDS.contains(&vip.vrid.get()) {
                let message = format!(
                    "virtual router {} of virtual IP {} is a number that others on the link may have",
                    vip.vrid, vip.name
                );
                let remedy = "look for adverts on the link, and give `vrid:` a number of its own";
                self.add(Code::VRID_COMMON, &vrid, message, remedy);
            }
            if vip.password.is_some() {
                let message = "the password goes over the link in clear text, in every advert";
                let remedy = "use version 3 and let the switches keep strangers out; or use it nowhere else";
                self.add(Code::PLAINTEXT, &at.key("password"), message, remedy);
            }
            let outside = vip.priorities.iter().filter(|(_, priority)| !SERVING.contains(&priority.get()));
            let outside: Vec<&str> = outside.map(|(name, _)| name.as_str()).collect();
            if !outside.is_empty() {
                let message = format!(
                    "the priorities of {} do not follow whether they can serve: that takes 129 to 254",
                    named(&outside)
                );
                let remedy = "leave `priorities:` out, unless another program takes part";
                self.add(Code::PRIORITY_OUT_OF_BAND, &at.key("priorities"), message, remedy);
            }
            let holders = |name: &&String| vip.on.contains(name);
            let runs_api_server =
                cluster.with_role(NodeRole::ControlPlane).map(|node| &node.name).any(|name| holders(&name));
            if vip.track == Track::None && vip.on.len() > 1 && (runs_api_server || vip.balance) {
                let message = format!(
                    "virtual IP {} stays where it is when its holder reaches no API server",
                    vip.name
                );
                self.add(Code::VIRTUAL_IP_UNTRACKED, &at.key("track"), message, "say `track: api-server`");
            }
            self.settings_without_effect(&at, vip);
        }
    }

    fn settings_without_effect(&mut self, at: &Path, vip: &VirtualIp) {
        let others = self.cluster.virtual_ips().iter().filter(|other| other.name != vip.name);
        let is_alone = !others.into_iter().any(|other| other.group == vip.group);
        let keeps = vip.track == Track::None && vip.when_all_bad == WhenAllBad::Release;
        for (field, is_idle, message, remedy) in [
            (
                "preemptDelay",
                !vip.preempt,
                "it delays what `preempt: true` does, which is not set; an owner waits for nothing",
                "say `preempt: true`, or leave it out",
            ),
            (
                "group",
                vip.group.is_some() && is_alone,
                "no other virtual IP is in the group, so nothing moves with this one",
                "give the others the same `group:`, or leave it out",
            ),
            (
                "whenAllBad",
                keeps,
                "no node is ever bad with `track: none`, so the address is never released",
                "say `track: api-server`, or leave it out",
            ),
        ] {
            let path = at.key(field);
            if is_idle && self.cluster.source.has(&path) {
                self.add(Code::NO_EFFECT, &path, message, remedy);
            }
        }
    }
}
