//! Servers, balancer and client together, and one fault shown on them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_lab::fleet::{Cut, Fault, Fleet, Settings as FleetSettings};
use bowline_lab::outage::{Client, Run, Settings as ClientSettings};

use super::balancer::Balancer;
use super::document::Observation;
use super::human;
use super::interrupt::Interrupt;
use super::progress::Progress;

/// As many API servers as a highly available control plane has at least.
const SERVERS: usize = 3;
/// A name that every server's certificate carries, whichever of them the balancer chooses.
const SERVER_NAME: &str = "kubernetes";
/// How long the faulty server's watches go on after a graceful stop: they end while the client still looks.
const GRACE: Duration = Duration::from_secs(3);
/// From the start of the client to the fault, unless it is not warm by then. Not a multiple of the balancer's probe interval, so that
/// faults do not fall on the same phase of it.
const WARM_UP: Duration = Duration::from_millis(870);
/// A client that has no 25 good requests in a row by then never will.
const WARM_LIMIT: Duration = Duration::from_secs(15);
/// How long a fault is watched.
const OBSERVATION: Duration = Duration::from_secs(6);
/// All down: how long there is no server at all.
const DARKNESS: Duration = Duration::from_secs(2);
/// Between two looks at the client while waiting.
const LOOK: Duration = Duration::from_millis(100);

/// The set-up of a demonstration; dropping it ends every process of it.
#[derive(Debug)]
pub(super) struct Stage {
    interrupt: Interrupt,
    // Before the fleet: while servers die one after the other at the end, nobody is left to complain.
    balancer: Balancer,
    fleet: Fleet,
}

impl Stage {
    /// Starts the servers and a balancer that finds them all ready.
    pub(super) fn set(cut: Cut, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let settings = FleetSettings {
            binary: std::env::current_exe().context("finding this program")?,
            arguments: vec!["stand-in".to_owned()],
            cut,
            servers: SERVERS,
            grace: GRACE,
        };
        let fleet = Fleet::start(&settings)?;
        let balancer = Balancer::start(&fleet, interrupt)?;
        Ok(Self { interrupt: interrupt.clone(), balancer, fleet })
    }

    /// Where clients connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// Where the balancer is asked how it is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.balancer.admin()
    }

    /// Lets `fault` happen to a server, watches what a client sees, and takes it back.
    pub(super) fn show(&mut self, fault: Fault, progress: &mut Progress) -> anyhow::Result<Observation> {
        progress.show(&format!("{fault}: opening connections"));
        let mut settings = ClientSettings::new(self.balancer.address(), self.fleet.authority().to_owned());
        settings.server_name = SERVER_NAME.to_owned();
        let client = Client::start(settings)?;
        self.warm_up(&client)?;
        let (index, server) = self.victim(&client)?;
        let title = format!("{fault}: {}", if fault == Fault::AllDown { "all servers" } else { &server });

        let at = self.fleet.inject(fault, index).with_context(|| format!("{title}: letting it happen"))?;
        let end = at.complete + OBSERVATION;
        let mut back = None;
        if fault == Fault::AllDown {
            self.watch(&client, at.complete, at.complete + DARKNESS, &title, progress)?;
            back = Some(self.fleet.undo(fault, index).with_context(|| format!("{title}: taking it back"))?);
        }
        self.watch(&client, at.complete, end, &title, progress)?;
        let run: Run = client.finish()?;
        if fault != Fault::AllDown {
            self.fleet.undo(fault, index).with_context(|| format!("{title}: taking it back"))?;
        }
        let served_after = back.map(|back| run.first_answer_after(back));
        let observation = Observation::new(
            fault,
            server,
            self.fleet.cut(),
            &run.report(at.began, at.complete),
            served_after,
        );
        progress.say(&format!("{title}: {}", observation.summary()));
        progress.show(&format!("{title}: waiting for every server to be ready again"));
        self.balancer.wait_recovery(&self.interrupt)?;
        Ok(observation)
    }

    /// The server that the client meets most: a fault that happens to one it does not meet shows nothing.
    fn victim(&self, client: &Client) -> anyhow::Result<(usize, String)> {
        let name = client.most_used_server().context("no request was answered before the fault")?;
        let index = self.fleet.endpoints().position(|(server, _)| server == name);
        Ok((index.with_context(|| format!("{name} answered, which is none of the servers"))?, name))
    }

    fn warm_up(&self, client: &Client) -> anyhow::Result<()> {
        let started = Instant::now();
        self.interrupt.wait(WARM_UP)?;
        while !client.is_warm() {
            if started.elapsed() > WARM_LIMIT {
                let seen = client.progress();
                bail!(
                    "through the balancer {} of {} requests failed before any fault; is this machine overloaded?",
                    seen.failed,
                    seen.requests
                );
            }
            self.interrupt.wait(LOOK)?;
        }
        Ok(())
    }

    fn watch(
        &self,
        client: &Client,
        fault: Instant,
        end: Instant,
        title: &str,
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        while Instant::now() < end {
            self.interrupt.wait_until(end.min(Instant::now() + LOOK))?;
            let seen = client.progress();
            progress.show(&format!(
                "{title}: {} of {}, {} requests, {} failed",
                human(fault.elapsed()),
                human(OBSERVATION),
                seen.requests,
                seen.failed
            ));
        }
        Ok(())
    }
}
