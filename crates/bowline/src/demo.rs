//! `bowline demo`: the whole thing on this machine. Three stand-in API servers and a balancer, all processes of this very binary;
//! then one fault after the other, and what a client saw of each.
//!
//! It needs no privileges. As root it moves into a network namespace of its own, where a server's link can be cut.

mod balancer;
mod document;
mod interrupt;
mod progress;
mod stage;
mod vip;

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bowline_lab::fleet::{Cut, Fault};
use bowline_sys::netns::Namespace;

use crate::failure::Failure;
use crate::output::{Format, print_as};

pub use document::{Demo, LongConnections, Observation};
use interrupt::Interrupt;
use progress::Progress;
use stage::Stage;
pub(crate) use vip::VipDemo;

/// What `bowline demo` can be told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    vip: vip::VipArgs,
    /// Only this fault, instead of all: killed, frozen, not-ready, unreachable, graceful-stop, all-down; with --vip: link-cut,
    /// stop, kill, freeze, one-way, heal, return, unreachable, wedged, starved
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// What to print: text for people, json and yaml for programs
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Shows what `args` ask for. To be called before any other thread exists: as root the process changes its network namespace.
///
/// # Errors
///
/// The demonstration could not be run, or was interrupted. Figures are never an error, whatever they are.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.vip.vip {
        let faults = faults(args.fault.as_deref(), &bowline_lab::failover::Fault::ALL)?;
        let document = vip::demonstrate(&args.vip, faults)?;
        return Ok(print_as(args.output, &document, || document.text())?);
    }
    let faults = faults(args.fault.as_deref(), &Fault::ALL)?;
    let cut = move_out()?;
    let document = demonstrate(&faults, cut)?;
    Ok(print_as(args.output, &document, || document.text())?)
}

/// Moves into a namespace of its own where that is allowed, and says what can be cut there.
fn move_out() -> anyhow::Result<Cut> {
    match Namespace::create() {
        Ok(namespace) => {
            namespace.enter().context("entering the own network namespace")?;
            Ok(Cut::Link)
        }
        // Not root, or root without its powers in a container; a kernel without namespaces says EINVAL.
        Err(_) => Ok(Cut::Queue),
    }
}

/// The one that is asked for, else all.
fn faults<F: Copy + FromStr<Err: ToString>>(name: Option<&str>, all: &[F]) -> Result<Vec<F>, Failure> {
    let parsed =
        name.map(|name| name.parse().map_err(|error: F::Err| Failure::Input(vec![error.to_string()])));
    Ok(parsed.transpose()?.map_or_else(|| all.to_vec(), |fault| vec![fault]))
}

fn demonstrate(faults: &[Fault], cut: Cut) -> anyhow::Result<Demo> {
    let started = Instant::now();
    let interrupt = Interrupt::install()?;
    let mut progress = Progress::new();
    progress.say("starting three stand-in API servers and the balancer");
    let mut stage = Stage::set(cut, &interrupt)?;
    progress.say(&format!("serving on https://{}, status on http://{}", stage.address(), stage.admin()));
    let mut observations = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        progress.begin(index + 1, faults.len());
        observations.push(stage.show(*fault, &mut progress)?);
    }
    progress.clear();
    Ok(Demo::new(cut, observations, started.elapsed()))
}

/// `duration` as people read it: `350ms`, `1.25s`.
fn human(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 { format!("{milliseconds}ms") } else { format!("{:.2}s", duration.as_secs_f64()) }
}
