//! How long clients can suffer from a failure, by the timers in force.

use bowline_plan::{Detection, KeepAlive};
use bowline_pool::Timers;
use std::time::Duration;

/// The longest time in which a new connection can wait or fail, for each kind of failure of an endpoint.
pub fn bounds(timers: &Timers) -> [(&'static str, Duration); 4] {
    let detection = Detection {
        interval: timers.probe_interval,
        fast_interval: timers.probe_interval_fast,
        timeout: timers.probe_timeout,
        fall: timers.fall,
        stagger_max: timers.stagger_max,
    };
    [
        ("killed", detection.killed()),
        ("unreachable", detection.unreachable()),
        ("frozen", detection.frozen()),
        ("not-ready", detection.not_ready()),
    ]
}

/// The longest time until a connection to a server that has vanished is ended.
pub fn established(keep_alive: &KeepAlive) -> Duration {
    keep_alive.gives_up_after()
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

    #[test]
    fn places_in_the_order_are_worth_what_virtual_routers_make_of_them() {
        assert_eq!(bowline_plan::RANK_WAIT, bowline_vrrp::timers::RANK_WAIT);
    }
}
