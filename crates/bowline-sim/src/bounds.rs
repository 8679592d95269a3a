//! How long anything may take, computed from what the group is configured to do.

use crate::fault::Kind;
use crate::options::{Options, SOON};
use bowline_vrrp::timers::{ANNOUNCE_GAP, HAND_OVER_MAX, PUT_BACK_GAP, RANK_WAIT, active_down};
use core::time::Duration;

/// A kernel looks for leases that are over a little late: 1.03 s were measured for a lease of 1 s.
pub(crate) const LEASE_LAG: Duration = Duration::from_millis(30);

/// A process hears of an address that is gone after this.
pub(crate) const NOTICE: Duration = Duration::from_millis(1);

/// A guard has done its part after this.
pub(crate) const GUARD_MAX: Duration = Duration::from_millis(100);

/// Until a client has heard an announcement that nothing but the schedule brings (`EVERY` of the machine's announcements).
pub(crate) const ANNOUNCED_AGAIN: Duration = Duration::from_secs(30);

/// A neighbour entry is locked for a second after a change; the schedule's next announcement is at most this late then.
const LOCKED: Duration = Duration::from_millis(2_000);

/// What is not counted anywhere else.
const MARGIN: Duration = Duration::from_millis(5);

/// So unlikely is it that a bound is exceeded because of lost packets alone: one in so many adverts.
const LUCK: u128 = 10_000_000_000_000;

/// The bounds of one world.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The shortest interval of any router.
    pub interval_min: Duration,
    /// Active_Down_Interval and rank of the slowest Backup, and what a packet and a thread are late.
    pub detection: Duration,
    /// Without an owner, from the last change.
    pub absence: Duration,
    /// Two owners that hear each other.
    pub conflict: Duration,
    /// A holder that cannot serve beside a Backup that can.
    pub service: Duration,
    /// A holder beside a Backup that goes before it and may preempt.
    pub preemption: Duration,
    /// From a planned stop until the successor has the addresses.
    pub hand_over: Duration,
    /// Without an owner meanwhile.
    pub gap: Duration,
    /// A client that hears the announcements and believes something else.
    pub clients: Duration,
    /// The same if it did not hear those at the change.
    pub clients_later: Duration,
    /// An address that nobody renews.
    pub lease: Duration,
    /// A process that lives and has connections, but no address.
    pub silence: Duration,
    /// A gap of its own loop that a shell takes for a stall.
    pub noticed: Duration,
    /// One that a router has to find out by itself: it may have been idle until its next advert.
    pub stall: Duration,
}

impl Bounds {
    /// Those of `options`.
    pub fn of(options: &Options) -> Self {
        let reconfigured = options.kinds.contains(&Kind::Reconfigure);
        let interval = if reconfigured { options.other_interval } else { options.interval };
        // RFC 3768 and RFC 9568 section 6.1: a part of one second, or of one interval, below the whole.
        let skew = if options.version2 { Duration::from_secs(1) } else { interval };
        let ranks = RANK_WAIT * u32::try_from(options.routers).unwrap_or(u32::MAX);
        let way = options.delay + options.jitter + options.lateness + MARGIN;
        // One thread does everything for all virtual IPs of a node: one thing in hand, and then one for each.
        let kernel = options.kernel * u32::try_from(2 * options.virtual_ips).unwrap_or(u32::MAX) + MARGIN;
        let unlucky = interval * lost_in_a_row(options.loss);
        let down = active_down(interval, skew) + ranks;
        let detection = down + way + unlucky;
        let lease = options.lease + LEASE_LAG + MARGIN;
        // Where priorities have no bands, a Backup that cannot serve lets others go first.
        let gives_way = if options.bands { Duration::ZERO } else { HAND_OVER_MAX + down };
        let locked = if options.locktime { LOCKED } else { Duration::ZERO };
        // Until a node knows what is so: late, and wrong for a moment.
        let lag = options.lag() + SOON * 2;
        let others = u32::try_from(options.routers).unwrap_or(u32::MAX).saturating_sub(1).max(1);
        Self {
            interval_min: options.interval,
            detection,
            absence: detection.max(PUT_BACK_GAP) + kernel + gives_way + way,
            conflict: lease + interval + unlucky + way * 2 + kernel,
            service: lag + options.stability + interval + unlucky + skew + ranks + way * 2 + kernel + lease,
            // Whoever knows later watches the one anew that was quicker.
            preemption: (lag
                + options.preempt_delay
                + interval
                + unlucky
                + detection
                + way * 2
                + kernel
                + lease)
                * others,
            hand_over: skew + ranks + way * 2 + kernel,
            gap: way + kernel,
            clients: ANNOUNCE_GAP + way + locked,
            clients_later: ANNOUNCED_AGAIN + way + locked,
            lease,
            silence: NOTICE + MARGIN,
            noticed: options.lease.min(options.interval * 3),
            stall: (options.lease + interval).min(interval * 3) + way,
        }
    }

    /// After so long without a change nothing moves any more.
    pub(crate) fn settled(&self) -> Duration {
        self.absence.max(self.conflict)
    }
}

/// How many packets in a row may get lost without anybody being to blame.
fn lost_in_a_row(loss: u64) -> u32 {
    let (mut luck, mut packets) = (LUCK, 0);
    while loss > 0 && luck > 0 {
        luck = luck * u128::from(loss) / 1_000;
        packets += 1;
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_in_a_row_by_hand() {
        assert_eq!(lost_in_a_row(0), 0);
        // 0.1 to the power of 14 is below 1e-13.
        assert_eq!(lost_in_a_row(100), 14);
        assert!(lost_in_a_row(200) > 14);
    }
}
