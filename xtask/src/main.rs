//! The project's own commands. Knows the workspace's layout and its tools; holds nothing that the product needs.
#![forbid(unsafe_code)]

mod bench;
mod command;
mod docs;
mod host;
mod install;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [--no-install]   everything the project asserts about itself
cargo xtask bench [--smoke]       the figures, beside the incumbents, in one run; --measure NAME picks, repeatable
cargo xtask sim [--seeds N] [--minutes M] [--failovers N] [--from SEED] [--threads N] [--replay SEED]
                                  virtual routers in simulated worlds, a seed each, until a limit is reached or one fails
cargo xtask tidy                  the conventions that a machine can check
cargo xtask docs                  writes the generated files under docs/
";

/// Bad usage, as for the product's own commands.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(test::Install::Missing),
        ["test", "--no-install"] => test::run(test::Install::Nothing),
        ["sim", options @ ..] => sim::run(options),
        ["tidy"] => tidy::run(),
        ["docs"] => docs::write(),
        ["bench", options @ ..] => match bench::Options::parse(options) {
            Ok(options) => bench::run(&options),
            Err(message) => return usage(&message),
        },
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => return usage(&format!("unknown command: {}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(message: &str) -> ExitCode {
    eprint!("error: {message}\n\n{USAGE}");
    ExitCode::from(EXIT_USAGE)
}
