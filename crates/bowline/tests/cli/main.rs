//! What a user sees: exit code, standard output and standard error of every command, and every message that can go with an
//! exit code other than 0.
//!
//! Each snapshot is one run. `INSTA_UPDATE=always cargo test -p bowline --test cli` writes them anew, to be read as a diff.

mod bad_input;
mod certs;
mod commands;
mod daemon;
mod foreign;
mod harness;
mod imports;
mod planning;
mod refusals;
mod rendering;
