//! keepalived with HAProxy, as the kubeadm guide has them and tuned to their best.

use anyhow::Context;
use rustix::process::Signal;

use super::{PORT, Site, System, VIP};
use crate::lan::{Host, LINK, installed};
use crate::peer::{Jail, Keepalived, Program, Running};

/// How they are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// kubeadm's `ha-considerations.md` of 2026-05.
    Documented,
    /// Adverts every 100 ms, checks as fast as both programs allow.
    Tuned,
    /// The same with adverts every 30 ms.
    Tuned30,
}

/// keepalived with HAProxy.
#[derive(Debug, Clone, Copy)]
pub struct Incumbent(pub Tuning);

impl Incumbent {
    fn keepalived(self, place: usize) -> String {
        let (version, interval, priorities, more) = match self.0 {
            Tuning::Documented => {
                (2, "1", [101, 100, 100], "  authentication {\n    auth_type PASS\n    auth_pass 42\n  }\n")
            }
            Tuning::Tuned => (3, "0.1", [150, 120, 100], ""),
            Tuning::Tuned30 => (3, "0.03", [150, 120, 100], ""),
        };
        let check = match self.0 {
            Tuning::Documented => "  interval 3\n  weight -2\n  fall 10\n  rise 2\n",
            Tuning::Tuned | Tuning::Tuned30 => "  interval 1\n  fall 1\n  rise 1\n",
        };
        let limit = if self.0 == Tuning::Documented { "2" } else { "0.2" };
        let state = if place == 0 { "MASTER" } else { "BACKUP" };
        format!(
            "global_defs {{\n  router_id LVS_DEVEL\n  script_user root\n  vrrp_version {version}\n}}\n\
             vrrp_script check_apiserver {{\n  script \"/usr/bin/curl -sfk --max-time {limit} -o /dev/null \
             https://localhost:{PORT}/readyz\"\n{check}}}\n\
             vrrp_instance VI_1 {{\n  state {state}\n  interface {LINK}\n  virtual_router_id 51\n  priority {}\n  \
             advert_int {interval}\n{more}  virtual_ipaddress {{\n    {VIP}\n  }}\n  track_script {{\n    \
             check_apiserver\n  }}\n}}\n",
            priorities[place]
        )
    }

    fn haproxy(self, site: &Site) -> String {
        let (retries, timeouts, check) = match self.0 {
            Tuning::Documented => (
                "  retries 1\n",
                "  timeout connect 5s\n  timeout client 35s\n  timeout server 35s\n  timeout check 10s\n",
                "",
            ),
            Tuning::Tuned | Tuning::Tuned30 => (
                "  retries 3\n  option redispatch 1\n",
                "  timeout connect 200ms\n  timeout client 35s\n  timeout server 35s\n  timeout check 200ms\n",
                " inter 200ms fall 2 rise 2 on-marked-down shutdown-sessions",
            ),
        };
        let mut text = format!(
            "global\n  maxconn 4000\ndefaults\n  mode tcp\n{retries}{timeouts}frontend apiserver\n  bind *:{PORT}\n  \
             default_backend apiserver\nbackend apiserver\n  option httpchk\n  http-check connect ssl\n  \
             http-check send meth GET uri /readyz\n  http-check expect status 200\n  balance roundrobin\n"
        );
        for (name, address) in &site.servers {
            text += &format!("  server {name} {address}:{PORT} check verify none{check}\n");
        }
        text
    }
}

impl System for Incumbent {
    fn name(&self) -> String {
        let tuning = match self.0 {
            Tuning::Documented => "documented",
            Tuning::Tuned => "tuned",
            Tuning::Tuned30 => "tuned to 30 ms",
        };
        format!("keepalived + HAProxy, {tuning}")
    }

    fn missing(&self) -> Option<String> {
        let missing = ["keepalived", "haproxy", "curl"].into_iter().find(|program| !installed(program));
        missing.map(|program| format!("{program} is not installed"))
    }

    fn start(&self, place: usize, host: &Host, site: &Site) -> anyhow::Result<Box<dyn Running>> {
        let folder = Jail::folder("haproxy")?;
        std::fs::write(folder.path().join("tmp/haproxy.cfg"), self.haproxy(site))
            .context("writing haproxy.cfg")?;
        let program = Program::new("haproxy", &["-db", "-f", "/tmp/haproxy.cfg"]);
        let haproxy = Jail::start(folder, host.namespace(), &program)?;
        let keepalived = Keepalived::start_with(host, &self.keepalived(place))?;
        Ok(Box::new(Pair { keepalived, haproxy }))
    }

    fn preempts(&self) -> bool {
        true
    }
}

/// Both programs of a host. What happens to the one that speaks VRRP leaves the other one alone.
#[derive(Debug)]
struct Pair {
    keepalived: Box<dyn Running>,
    haproxy: Jail,
}

impl Running for Pair {
    fn ask_to_stop(&mut self) -> anyhow::Result<()> {
        self.keepalived.ask_to_stop()
    }

    fn wait_end(&mut self) -> anyhow::Result<()> {
        self.keepalived.wait_end()?;
        self.haproxy.signal(Signal::TERM)?;
        self.haproxy.wait_end()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.keepalived.kill()
    }

    fn freeze(&mut self, frozen: bool) -> anyhow::Result<()> {
        self.keepalived.freeze(frozen)
    }

    fn wedge(&mut self, wedged: bool) -> anyhow::Result<()> {
        self.haproxy.hold_thread("haproxy", wedged)
    }

    fn starve(&mut self, starved: bool) -> anyhow::Result<()> {
        self.haproxy.starve(starved)
    }

    fn alive(&mut self) -> bool {
        self.keepalived.alive() && self.haproxy.alive()
    }

    fn complaints(&mut self) -> anyhow::Result<Vec<(String, u64)>> {
        self.keepalived.complaints()
    }

    fn log(&self) -> String {
        self.keepalived.log() + &self.haproxy.log()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::process::Command;

    #[test]
    fn haproxy_takes_its_configuration() {
        if !installed("haproxy") {
            return println!("skipped: haproxy is not installed");
        }
        let server = ("cp1".to_owned(), Ipv4Addr::new(192, 0, 2, 14));
        let site = Site { servers: vec![server], balancers: Vec::new(), authority: String::new() };
        let folder = Jail::folder("haproxy-check").expect("a folder");
        for tuning in [Tuning::Documented, Tuning::Tuned, Tuning::Tuned30] {
            let path = folder.path().join("haproxy.cfg");
            std::fs::write(&path, Incumbent(tuning).haproxy(&site)).expect("write");
            let done = Command::new("haproxy").args(["-c", "-q", "-f"]).arg(path).output().expect("haproxy");
            let printed = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success() && printed.is_empty(), "{tuning:?}: {printed}");
        }
    }
}
