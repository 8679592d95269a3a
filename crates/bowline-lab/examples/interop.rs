//! Pairs of virtual routers through their stories: `interop FIRST SECOND [dialect]`, each keepalived, frr, or the path of a bowline binary.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use bowline_lab::interop::{Dialect, Story, Told};
use bowline_lab::peer::{Bowline, Frr, Keepalived, Subject};

fn subject(name: Option<String>) -> anyhow::Result<Box<dyn Subject>> {
    Ok(match name.context("which two: keepalived, frr, or a path of bowline?")?.as_str() {
        "keepalived" => Box::new(Keepalived),
        "frr" => Box::new(Frr),
        path => Box::new(Bowline { binary: path.into(), foreign: true }),
    })
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let subjects = [subject(arguments.next())?, subject(arguments.next())?];
    let subjects = [&*subjects[0], &*subjects[1]];
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
            let outcome = match outcome {
                Told::AsItShould => "as it should be".to_owned(),
                Told::Disturbed(error) => format!("unknown: {error:#}"),
                Told::Otherwise(error) => {
                    failed += 1;
                    format!("{error:#}")
                }
            };
            println!("{:<10} {story:?}: {outcome}", dialect.name());
        }
    }
    if failed > 0 {
        bail!("{failed} stories went another way");
    }
    Ok(())
}
