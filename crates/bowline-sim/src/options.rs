//! What a seed stands for: the group, the link, the hosts, and which faults there are at all.

use crate::fault::Kind;
use bowline_sansio::Prng;
use bowline_vrrp::{
    Addresses, Centiseconds, ChecksumForm, Config, ConfigError, Family, Peers, Priority, Protocol, Seconds,
    Settings, Transport, Vrid, WhenAllBad,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// Nodes of one world, at most.
pub const ROUTERS_MAX: usize = 5;

/// A node that has just found out that it reaches nobody finds out within this that it does: it looks again at once.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// Drift is counted in these.
const PARTS: u32 = 1_000_000;

/// The first VRID; a virtual IP's is this and its number.
pub(crate) const VRID_FIRST: u8 = 51;

/// Everything a seed decides before its world begins. Swarm testing: each seed draws first which faults are on, so that some
/// worlds are calm and some are not, and no fault hides another for ever.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all the rest follows from.
    pub seed: u64,
    /// Nodes.
    pub routers: usize,
    /// The last ones of them are of another make: keepalived as it comes.
    pub foreign: usize,
    /// Virtual routers, each with its preferred node.
    pub virtual_ips: usize,
    /// Hosts that only listen to announcements.
    pub clients: usize,
    /// Of the virtual IPs.
    pub family: Family,
    /// Whether VRRP is of version 2.
    pub version2: bool,
    /// Between two adverts.
    pub interval: Duration,
    /// What a reconfiguration may make of it.
    pub other_interval: Duration,
    /// Of the address in the kernel.
    pub lease: Duration,
    /// Between the priorities of two ranks; 0 makes all equal.
    pub spread: u8,
    /// Whether priorities say who can serve.
    pub bands: bool,
    /// Whether the first in the order owns the addresses: Active whenever it can be.
    pub owner: bool,
    /// Whether a router takes over from one of less priority.
    pub preempt: bool,
    /// After it has watched it for so long.
    pub preempt_delay: Duration,
    /// What the holder does while nobody can serve.
    pub when_all_bad: WhenAllBad,
    /// How long it has to last that a holder cannot serve.
    pub stability: Duration,
    /// Adverts go to each peer.
    pub unicast: bool,
    /// Adverts are taken from everybody.
    pub any_peer: bool,
    /// Of every packet.
    pub delay: Duration,
    /// Of a packet, more, at most.
    pub jitter: Duration,
    /// Packets lost, of a thousand.
    pub loss: u64,
    /// Packets that arrive twice, of a thousand.
    pub duplicates: u64,
    /// Whether packets overtake each other.
    pub reorder: bool,
    /// Clocks are fast or slow by this many parts per million, at most.
    pub drift: i64,
    /// A timer is handled this much late, at most.
    pub lateness: Duration,
    /// The kernel takes this long for an address, at most.
    pub kernel: Duration,
    /// The kernel refuses an address, of a thousand times.
    pub refusals: u64,
    /// Clients keep what they learned for a second, whatever they are told.
    pub locktime: bool,
    /// The shell does not notice that it stood still, so that the machine has to.
    pub stalls_unnoticed: bool,
    /// Faults begin while others last.
    pub overlap: bool,
    /// Faults, before everything is healed.
    pub faults: usize,
    /// Which of them there are.
    pub kinds: Vec<Kind>,
}

fn pick<T: Copy, const N: usize>(prng: &mut Prng, from: [T; N]) -> T {
    from[prng.index(N)]
}

/// Once in `n` times.
pub(crate) fn chance(prng: &mut Prng, n: u64) -> bool {
    prng.below(n) == 0
}

pub(crate) fn up_to(prng: &mut Prng, most: Duration) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
    Duration::from_nanos(prng.below(nanos + 1))
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Options {
    /// What `seed` stands for.
    pub fn draw(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let prng = &mut prng;
        let routers = pick(prng, [1, 2, 2, 3, 3, 3, 3, 4, 5]);
        let mixed = routers > 1 && chance(prng, 8);
        let foreign = if mixed { 1 + prng.index(routers - 1) } else { 0 };
        let version2 = chance(prng, 6);
        let v6 = !version2 && chance(prng, 4);
        let interval = if version2 {
            pick(prng, [1_000, 1_000, 2_000])
        } else {
            pick(prng, [10, 20, 30, 50, 100, 100, 100, 100, 200, 300, 1_000])
        };
        let interval = ms(interval);
        let lease = Duration::from_secs(if interval <= ms(300) { 1 } else { 3 * interval.as_secs().max(1) });
        let bands = !chance(prng, 5) && !mixed;
        let (preempt, owner) = who_preempts(prng);
        let lossy = chance(prng, 4);
        let duplicating = chance(prng, 8);
        let drifting = chance(prng, 3);
        Self {
            seed,
            routers,
            foreign,
            virtual_ips: pick(prng, [1, 2, 3]),
            clients: pick(prng, [1, 1, 2]),
            family: if v6 { Family::V6 } else { Family::V4 },
            version2,
            interval,
            other_interval: if version2 { interval } else { interval * 2 },
            lease,
            spread: spread(prng),
            bands,
            owner: owner && !mixed,
            preempt,
            preempt_delay: if chance(prng, 2) { interval * 5 } else { Duration::ZERO },
            when_all_bad: if chance(prng, 5) { WhenAllBad::Release } else { WhenAllBad::Keep },
            stability: pick(prng, [ms(50), ms(200), ms(200), ms(2_000)]),
            unicast: chance(prng, 4),
            any_peer: chance(prng, 6),
            delay: up_to(prng, ms(1).min(interval / 20)),
            jitter: up_to(prng, ms(2).min(interval / 10)),
            loss: if lossy { prng.below(200) } else { 0 },
            duplicates: if duplicating { prng.below(200) } else { 0 },
            reorder: chance(prng, 8),
            drift: if drifting { i64::try_from(prng.below(500)).unwrap_or(0) } else { 0 },
            lateness: up_to(prng, ms(2).min(interval / 10)),
            kernel: up_to(prng, ms(3)),
            refusals: if chance(prng, 8) { prng.below(200) } else { 0 },
            locktime: chance(prng, 3),
            stalls_unnoticed: chance(prng, 2),
            overlap: chance(prng, 3),
            faults: 50 + prng.index(200),
            kinds: kinds(prng, mixed),
        }
    }

    /// Whether `node` is of another make.
    pub const fn is_foreign(&self, node: usize) -> bool {
        node + self.foreign >= self.routers
    }

    /// How much later than another a node finds out that it reaches an API server or none, at most: less than what the
    /// configuration allows for, because what it says then has to arrive as well.
    pub fn lag(&self) -> Duration {
        (self.stability / 2).min(self.interval * 2)
    }

    /// Where `node`'s adverts come from.
    pub fn source(&self, node: usize) -> IpAddr {
        // Addresses are not in the order of ranks: nothing may depend on it.
        let host = 10 + u8::try_from((node * 7 + 3) % 11).unwrap_or(0);
        match self.family {
            Family::V4 => Ipv4Addr::new(10, 0, 0, host).into(),
            Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host)).into(),
        }
    }

    /// By how much a clock is wrong after `time`, at most.
    pub fn astray(&self, time: Duration) -> Duration {
        time * u32::try_from(self.drift.unsigned_abs()).unwrap_or(u32::MAX) / PARTS
    }

    /// A node's place in the order of `vip`: node order, rotated by its number.
    pub const fn rank(&self, node: usize, vip: usize) -> usize {
        (node + self.routers - vip % self.routers) % self.routers
    }

    /// What `node` is told about `vip`.
    ///
    /// # Errors
    ///
    /// None for options that were drawn; a bug of this crate otherwise.
    pub fn config(&self, node: usize, vip: usize) -> Result<Config, ConfigError> {
        let number = u8::try_from(vip).unwrap_or(0);
        let rank = u8::try_from(self.rank(node, vip)).unwrap_or(0);
        let mut others: Vec<usize> = (0..self.routers).filter(|&other| other != node).collect();
        others.sort_unstable_by_key(|&other| self.rank(other, vip));
        let others: std::sync::Arc<[IpAddr]> = others.into_iter().map(|other| self.source(other)).collect();
        let unicast = self.unicast && !others.is_empty();
        Config::new(Settings {
            vrid: Vrid::new(VRID_FIRST + number).ok_or(ConfigError::NoAddress)?,
            protocol: self.protocol(self.interval)?,
            addresses: self.addresses(vip, false)?,
            source: self.source(node),
            priority: self.priority(rank).ok_or(ConfigError::NoLease)?,
            rank,
            preempt: self.preempt,
            preempt_delay: self.preempt_delay,
            peers: if self.any_peer { Peers::Any } else { Peers::Planned(others.clone()) },
            transport: if unicast { Transport::Unicast(others) } else { Transport::Multicast },
            bands: self.bands,
            when_all_bad: self.when_all_bad,
            stability: self.stability,
            lease: self.lease,
        })
    }

    fn priority(&self, rank: u8) -> Option<Priority> {
        if self.owner && rank == 0 { Some(Priority::OWNER) } else { Priority::new(254 - self.spread * rank) }
    }

    /// Version and interval as settings have them.
    ///
    /// # Errors
    ///
    /// For an interval that the version does not know.
    pub fn protocol(&self, interval: Duration) -> Result<Protocol, ConfigError> {
        Ok(if self.version2 {
            Protocol::V2 { interval: Seconds::try_from(interval)?, password: None }
        } else {
            Protocol::V3 { interval: Centiseconds::try_from(interval)?, checksum: ChecksumForm::PseudoHeader }
        })
    }

    /// The addresses of `vip`, with one `more` or not.
    ///
    /// # Errors
    ///
    /// None.
    pub fn addresses(&self, vip: usize, more: bool) -> Result<Addresses, ConfigError> {
        let number = u8::try_from(vip).unwrap_or(0);
        let address = |base: u8| match self.family {
            Family::V4 => IpAddr::from([10, 0, 0, base + number]),
            Family::V6 => {
                IpAddr::from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(base) + u16::from(number)))
            }
        };
        Addresses::new([100, 200].into_iter().take(if more { 2 } else { 1 }).map(address).collect())
    }
}

/// Between the priorities of two ranks: as they are planned, nearer, or none.
fn spread(prng: &mut Prng) -> u8 {
    match prng.below(16) {
        0 | 1 => 0,
        2 => 1,
        _ => 4,
    }
}

/// Everybody, the owner alone, or mostly nobody.
fn who_preempts(prng: &mut Prng) -> (bool, bool) {
    match prng.below(12) {
        0 | 1 => (true, false),
        5 => (false, true),
        _ => (false, false),
    }
}

/// Some of all kinds, at least one that moves an address.
fn kinds(prng: &mut Prng, mixed: bool) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| chance(prng, 3)).collect();
    // keepalived takes no advert with other addresses than its own.
    kinds.retain(|&kind| !mixed || kind != Kind::Reconfigure);
    kinds.push(pick(prng, [Kind::Crash, Kind::Leave, Kind::Hang, Kind::PowerOff, Kind::Isolate]));
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
