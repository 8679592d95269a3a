//! The load tool as a program: `cargo xtask bench` runs it on both sides of each proxy.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    bowline_lab::load::run(std::env::args().skip(1))
}
