//! Leases and adverts of a holder under a burden: `churn [SECONDS [BINARY]]`, 30 s each by default, with the bowline that was built
//! beside this. Links that come and go, clients who take all they get, and both; with adverts in real time and without. A JSON line each.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bowline_lab::churn::{Burden, Ground};
use bowline_lab::lan::Lan;

const USAGE: &str = "churn [SECONDS [BINARY]]";

fn main() -> anyhow::Result<()> {
    if let Some(reason) = Lan::missing() {
        bail!("{reason}");
    }
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(30), |text| text.parse()).context(USAGE)?;
    let binary = arguments.next().map_or_else(sibling, |path| Ok(PathBuf::from(path).canonicalize()?))?;
    let ground = Ground::new(binary)?;
    for (links, clients) in [(false, false), (true, false), (false, true), (true, true)] {
        for real_time in [true, false] {
            let burden = Burden { links, clients, real_time };
            eprintln!("{burden:?}, {seconds} s");
            let seen = ground.watch(burden, Duration::from_secs(seconds))?;
            println!("{}", serde_json::to_string(&seen)?);
        }
    }
    Ok(())
}

/// Where this program was built, so was bowline: `target/PROFILE/examples/churn`, `target/PROFILE/bowline`.
fn sibling() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let folder = own.parent().and_then(|examples| examples.parent()).context("the folder of this program")?;
    let binary = folder.join("bowline");
    ensure!(binary.is_file(), "{} is not there: cargo build --release -p bowline", binary.display());
    Ok(binary)
}
