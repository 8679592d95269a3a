//! Timers and limits, each with its default and its bounds.

use core::num::NonZeroU32;
use core::time::Duration;

use super::{Checker, text};
use crate::cluster::{Balancing, ConnectTime, KeepAlive};
use crate::description as raw;
use crate::plan::Policy;
use crate::source::Path;
use crate::source::excerpt;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The default of a timer and its bounds.
struct Timer {
    default: Duration,
    bounds: (Duration, Duration),
}

const fn timer(default: Duration, min: Duration, max: Duration) -> Timer {
    Timer { default, bounds: (min, max) }
}

// Lower bounds keep a typing error from loading the API servers or from calling a healthy one dead; upper bounds keep
// one from switching a mechanism off unseen.
/// The default depends on the node's part; this one is shown in messages.
const PROBE_INTERVAL: Timer = timer(s(1), ms(100), s(300));
const FAST_PROBE_INTERVAL: Timer = timer(ms(100), ms(20), s(10));
/// A healthy API server answers within some milliseconds, a far one within 100.
const PROBE_TIMEOUT: Timer = timer(ms(200), ms(10), s(30));
/// A handshake costs the API server a signature, and a busy one is not a dead one.
const HANDSHAKE_TIMEOUT: Timer = timer(s(1), ms(50), s(60));
const FIRST_FLIGHT: Timer = timer(ms(200), ms(20), s(30));
const STAGGER_MIN: Timer = timer(ms(50), ms(1), s(10));
/// Below the 1 s after which a kernel repeats a lost SYN, so a lost packet costs less than it would without us.
const STAGGER_MAX: Timer = timer(ms(250), ms(1), s(10));
/// Clients of Kubernetes give up a TLS handshake after 10 s.
const HOLD: Timer = timer(s(8), ms(100), s(60));
const DRAIN_GRACE: Timer = timer(s(30), s(0), s(3600));
/// A kube-apiserver serves open watches up to 60 s after it was told to stop.
const DRAIN_TIMEOUT: Timer = timer(s(75), s(0), s(3600));
/// Shorter than 600 ms is not told apart from an election of etcd's leader.
const FREEZE_AFTER: Timer = timer(s(3), ms(600), s(300));
const SLOW_START: Timer = timer(s(10), s(0), s(600));
const KEEP_ALIVE_IDLE: Timer = timer(s(15), s(1), s(7200));
const KEEP_ALIVE_INTERVAL: Timer = timer(s(5), s(1), s(600));

const KEEP_ALIVE_PROBES: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// One lost packet is not a verdict.
const FALL: NonZeroU32 = NonZeroU32::new(2).unwrap();
const RISE: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Two descriptors each; what the kernel's limit leaves is checked where it is known.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// Where the system's default paces its packets (bbr), a connection over loopback moves half as much as with this one.
const LOOPBACK_CONGESTION: &str = "cubic";
/// The kernel's `TCP_CA_NAME_MAX`, less the zero behind it.
const CONGESTION_NAME_MAX: usize = 15;
const SHED_RATE: NonZeroU32 = NonZeroU32::new(5).unwrap();
const CUT_RATE: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

impl Checker<'_, '_> {
    pub(super) fn balancing(&mut self, at: &Path, given: raw::Balancing) -> Balancing {
        let mut timer = |field: &str, given: &Option<raw::DurationText>, timer: Timer| {
            self.duration(&at.key(field), given.as_ref(), timer.default, timer.bounds)
        };
        let probe_interval = given.probe_interval.as_ref();
        let balancing = Balancing {
            policy: given.policy.and_then(policy),
            connect_time: match given.connect_time {
                Some(raw::ConnectTime::On) => ConnectTime::On,
                Some(raw::ConnectTime::Off) => ConnectTime::Off,
                Some(raw::ConnectTime::Auto) | None => ConnectTime::Auto,
            },
            probe_interval: probe_interval
                .map(|_| timer("probeInterval", &given.probe_interval, PROBE_INTERVAL)),
            fast_probe_interval: timer("fastProbeInterval", &given.fast_probe_interval, FAST_PROBE_INTERVAL),
            probe_timeout: timer("probeTimeout", &given.probe_timeout, PROBE_TIMEOUT),
            handshake_timeout: timer("handshakeTimeout", &given.handshake_timeout, HANDSHAKE_TIMEOUT),
            fall: given.fall.and_then(NonZeroU32::new).unwrap_or(FALL),
            rise: given.rise.and_then(NonZeroU32::new).unwrap_or(RISE),
            first_flight: timer("firstFlight", &given.first_flight, FIRST_FLIGHT),
            stagger_min: timer("staggerMin", &given.stagger_min, STAGGER_MIN),
            stagger_max: timer("staggerMax", &given.stagger_max, STAGGER_MAX),
            hold: timer("hold", &given.hold, HOLD),
            drain_grace: timer("drainGrace", &given.drain_grace, DRAIN_GRACE),
            drain_timeout: timer("drainTimeout", &given.drain_timeout, DRAIN_TIMEOUT),
            freeze_after: timer("freezeAfter", &given.freeze_after, FREEZE_AFTER),
            slow_start: timer("slowStart", &given.slow_start, SLOW_START),
            connections: given.connections.and_then(NonZeroU32::new).unwrap_or(CONNECTIONS),
            shed_rate: given.shed_rate.and_then(NonZeroU32::new).unwrap_or(SHED_RATE),
            cut_rate: given.cut_rate.and_then(NonZeroU32::new).unwrap_or(CUT_RATE),
            keep_alive: self.keep_alive(&at.key("keepAlive"), &given.keep_alive),
            limits: self.limits(&at.key("limits"), given.limits),
            proxy_protocol: given.proxy_protocol.unwrap_or(false),
            loopback_congestion: self.congestion(&at.key("loopbackCongestion"), given.loopback_congestion),
        };
        self.check_order(at, &balancing);
        balancing
    }

    fn keep_alive(&mut self, at: &Path, given: &raw::KeepAlive) -> KeepAlive {
        let mut seconds = |field: &str, given: &Option<raw::DurationText>, timer: Timer| {
            let path = at.key(field);
            let duration = self.duration(&path, given.as_ref(), timer.default, timer.bounds);
            if duration.subsec_nanos() != 0 {
                self.problem(&path, "the kernel counts keep-alive in seconds", "give whole seconds");
            }
            duration
        };
        KeepAlive {
            idle: seconds("idle", &given.idle, KEEP_ALIVE_IDLE),
            interval: seconds("interval", &given.interval, KEEP_ALIVE_INTERVAL),
            probes: given.probes.and_then(NonZeroU32::new).unwrap_or(KEEP_ALIVE_PROBES),
        }
    }

    fn congestion(&mut self, at: &Path, given: Option<String>) -> String {
        let Some(given) = given else { return LOOPBACK_CONGESTION.to_owned() };
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if given.is_empty() || given.len() > CONGESTION_NAME_MAX || !given.bytes().all(is_plain) {
            let message = format!("{} is not the name of a congestion control", excerpt(&given));
            self.problem(at, message, "write one that net.ipv4.tcp_available_congestion_control has");
        }
        given
    }

    /// Timers that only make sense in one order.
    fn check_order(&mut self, at: &Path, balancing: &Balancing) {
        let pairs = [
            ("staggerMax", balancing.stagger_max, "staggerMin", balancing.stagger_min),
            ("hold", balancing.hold, "staggerMax", balancing.stagger_max),
            ("handshakeTimeout", balancing.handshake_timeout, "probeTimeout", balancing.probe_timeout),
        ];
        for (longer, long, shorter, short) in pairs {
            // A timer that could not be read is in no order.
            if long >= short || !self.knows_fields(at, &[longer, shorter]) {
                continue;
            }
            let (long, short) = (text::Shown(long), text::Shown(short));
            // Placed at the one that was given.
            let field = if self.source.has(&at.key(longer)) { longer } else { shorter };
            let message = format!("{longer} ({long}) is shorter than {shorter} ({short})");
            self.problem(&at.key(field), message, format!("make {longer} at least {short}"));
        }
    }
}

/// `None` is auto.
fn policy(given: raw::Policy) -> Option<Policy> {
    match given {
        raw::Policy::Auto => None,
        raw::Policy::LeastConnections => Some(Policy::LeastConnections),
        raw::Policy::RoundRobin => Some(Policy::RoundRobin),
        raw::Policy::RandomOfTwo => Some(Policy::RandomOfTwo),
        raw::Policy::Preferred => Some(Policy::Preferred),
        raw::Policy::Sticky => Some(Policy::Sticky),
    }
}
