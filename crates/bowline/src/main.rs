//! The command `bowline`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    bowline::cli::main()
}
