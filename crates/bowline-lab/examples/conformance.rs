//! The conformance checks against a virtual router of choice: `conformance keepalived|frr|PATH [v2|v3|v3-ipv6] [name of a check]`.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use bowline_lab::conformance::{self, Variant};
use bowline_lab::lan::Lan;
use bowline_lab::peer::{Bowline, Frr, Keepalived, Subject};

/// Checks mostly wait: more at once than there are processors.
const AT_ONCE: usize = 6;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("which subject: keepalived, frr, or a path of bowline?")?;
    let subject: Box<dyn Subject> = match name.as_str() {
        "keepalived" => Box::new(Keepalived),
        "frr" => Box::new(Frr),
        path => Box::new(Bowline { binary: path.into(), foreign: true }),
    };
    let subject = &*subject;
    if let Some(reason) = Lan::missing().or(subject.missing()) {
        bail!("{reason}");
    }
    let wanted = arguments.next();
    let check = arguments.next();
    let mut checks = conformance::checks();
    checks.retain(|one| check.as_ref().is_none_or(|name| one.name == name));
    let mut unexpected = 0;
    for variant in Variant::ALL {
        if wanted.as_ref().is_some_and(|wanted| *wanted != variant.to_string()) {
            continue;
        }
        for outcome in conformance::run(subject, variant, &checks, AT_ONCE)? {
            unexpected += usize::from(!outcome.is_expected());
            println!("{outcome}");
        }
    }
    if unexpected > 0 {
        bail!("{unexpected} checks are not as expected");
    }
    Ok(())
}
