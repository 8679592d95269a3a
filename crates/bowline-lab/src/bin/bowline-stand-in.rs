//! The stand-in API server alone, for the tests of this crate and for measuring other balancers.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    bowline_lab::standin::run(std::env::args().skip(1))
}
