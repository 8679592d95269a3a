//! bowline on all three hosts.

use std::time::Duration;

use super::{PORT, Site, System, VIP};
use crate::lan::{Host, LINK};
use crate::peer::{Bowline, Running};

/// A binary that takes `run --node NAME --config FILE`, with adverts at this interval.
#[derive(Debug, Clone)]
pub struct Daemons {
    pub bowline: Bowline,
    pub interval: Duration,
    /// Anything more for the virtual IP's entry, such as `, preempt: true`.
    pub more: String,
}

impl Daemons {
    /// The description of all balancers of `site`, for each of them.
    pub fn description(&self, site: &Site) -> String {
        let mut nodes = String::new();
        for (role, list) in [("control-plane", &site.servers), ("load-balancer", &site.balancers)] {
            for (name, address) in list {
                nodes += &format!("  - {{name: {name}, roles: [{role}], addresses: [{address}]}}\n");
            }
        }
        format!(
            "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  nodes:\n{nodes}  \
             apiServer: {{port: {PORT}, caFile: /tmp/ca.crt}}\n  access:\n    internal: {{mode: virtual-ip, port: \
             {PORT}}}\n    external: {{mode: virtual-ip, virtualIPs: [api], port: {PORT}}}\n  virtualIPs:\n  - {{name: \
             api, address: {VIP}, on: load-balancer, interval: {}ms, interface: {LINK}{}}}\n  admin: {{listen: \
             \"127.0.0.1:9643\"}}\n",
            self.interval.as_millis(),
            self.more
        )
    }
}

impl System for Daemons {
    fn name(&self) -> String {
        match self.interval.as_millis() {
            100 => "bowline".to_owned(),
            millis => format!("bowline at {millis} ms"),
        }
    }

    fn missing(&self) -> Option<String> {
        let binary = &self.bowline.binary;
        (!binary.is_file()).then(|| format!("{} is not there", binary.display()))
    }

    fn start(&self, _place: usize, host: &Host, site: &Site) -> anyhow::Result<Box<dyn Running>> {
        let files = [("ca.crt", site.authority.as_str())];
        Ok(Box::new(self.bowline.start_with(host, &self.description(site), &files)?))
    }

    fn preempts(&self) -> bool {
        false
    }
}
