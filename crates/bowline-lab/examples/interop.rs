//! Pairs of virtual routers through their stories: `interop FIRST SECOND [dialect]`, with keepalived and frr for the two.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use bowline_lab::interop::{Dialect, Story};
use bowline_lab::peer::{Frr, Keepalived, Subject};

fn subject(name: Option<String>) -> anyhow::Result<&'static dyn Subject> {
    match name.context("which two: keepalived, frr?")?.as_str() {
        "keepalived" => Ok(&Keepalived),
        "frr" => Ok(&Frr),
        other => bail!("no subject {other}; known are keepalived and frr"),
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let subjects = [subject(arguments.next())?, subject(arguments.next())?];
    let wanted = arguments.next();
    let mut failed = 0;
    for dialect in Dialect::ALL {
        if wanted.as_ref().is_some_and(|wanted| wanted != dialect.name()) {
            continue;
        }
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let told = Story::ALL.map(|story| scope.spawn(move || (story, story.tell(dialect, subjects))));
            told.into_iter().filter_map(|one| one.join().ok()).collect()
        });
        for (story, outcome) in outcomes {
            match outcome {
                Ok(()) => println!("{:<10} {story:?}: as it should be", dialect.name()),
                Err(error) => {
                    failed += 1;
                    println!("{:<10} {story:?}: {error:#}", dialect.name());
                }
            }
        }
    }
    if failed > 0 {
        bail!("{failed} stories went another way");
    }
    Ok(())
}
