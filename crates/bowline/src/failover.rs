//! How long clients can suffer from a failure, by the timers in force.

use bowline_plan::KeepAlive;
use bowline_pool::Timers;
use std::time::Duration;

/// The longest time in which a new connection can wait or fail, for each kind of failure of an endpoint.
///
/// * `killed`: its port refuses, and the next endpoint is dialled at once.
/// * `unreachable`: the next endpoint is dialled beside the silent one after the stagger.
/// * `frozen`: it takes connections and says nothing; the probes find out, when no client's first flight has before.
/// * `not-ready`: connections work, but should go elsewhere; the probes find out.
pub fn bounds(timers: &Timers) -> [(&'static str, Duration); 4] {
    // The first bad probe comes at its interval's end, the others one fast interval after the answer before.
    let confirm = timers.fall.saturating_sub(1);
    let pauses = timers.probe_interval.saturating_add(timers.probe_interval_fast.saturating_mul(confirm));
    [
        ("killed", Duration::ZERO),
        ("unreachable", timers.stagger_max),
        ("frozen", pauses.saturating_add(timers.probe_timeout.saturating_mul(timers.fall))),
        ("not-ready", pauses),
    ]
}

/// The longest time until a connection to a server that has vanished is ended.
pub fn established(keep_alive: &KeepAlive) -> Duration {
    keep_alive.idle.saturating_add(keep_alive.interval.saturating_mul(keep_alive.probes.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_a_balancer_give_the_figures_of_its_design() {
        let expected = [
            ("killed", Duration::ZERO),
            ("unreachable", Duration::from_millis(250)),
            ("frozen", Duration::from_millis(1_500)),
            ("not-ready", Duration::from_millis(1_100)),
        ];
        assert_eq!(bounds(&Timers::default()), expected);
    }
}
