//! The link that nodes and clients share: who hears whom, how late, and what gets lost.

use crate::options::Options;
use bowline_sansio::{Instant, Prng};
use core::time::Duration;

const PER_MILLE: u64 = 1_000;

/// The way from one station to another. Nodes come first, then clients.
#[derive(Clone, Copy, Debug)]
struct Path {
    /// Cuts that stand; nothing passes while there are any.
    cuts: u32,
    /// Since when it has been as it is.
    since: Instant,
    /// When the last packet arrives.
    last: Instant,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Network {
    stations: usize,
    paths: Vec<Path>,
    /// Lost, of a thousand.
    loss: u64,
    /// Since when nothing gets lost, if so.
    lossless_since: Option<Instant>,
    duplicates: u64,
    reorder: bool,
    delay: Duration,
    jitter: Duration,
}

impl Network {
    pub(crate) fn new(options: &Options) -> Self {
        let stations = options.routers + options.clients;
        let path = Path { cuts: 0, since: Instant::ORIGIN, last: Instant::ORIGIN };
        Self {
            stations,
            paths: vec![path; stations * stations],
            loss: options.loss,
            lossless_since: (options.loss == 0).then_some(Instant::ORIGIN),
            duplicates: options.duplicates,
            reorder: options.reorder,
            delay: options.delay,
            jitter: options.jitter,
        }
    }

    /// Nothing gets lost any more.
    pub(crate) fn lose_nothing(&mut self, now: Instant) {
        self.loss = 0;
        self.lossless_since = self.lossless_since.or(Some(now));
    }

    pub(crate) const fn lossless_since(&self) -> Option<Instant> {
        self.lossless_since
    }

    pub(crate) fn is_up(&self, from: usize, to: usize) -> bool {
        from == to || self.paths[from * self.stations + to].cuts == 0
    }

    pub(crate) fn since(&self, from: usize, to: usize) -> Instant {
        self.paths[from * self.stations + to].since
    }

    /// Since when each has heard the other, if they do.
    pub(crate) fn both_ways_since(&self, one: usize, other: usize) -> Option<Instant> {
        let up = self.is_up(one, other) && self.is_up(other, one);
        up.then(|| self.since(one, other).max(self.since(other, one)))
    }

    /// Cuts the way from `from` to `to`, or takes one cut away.
    pub(crate) fn cut(&mut self, from: usize, to: usize, on: bool, now: Instant) {
        let path = &mut self.paths[from * self.stations + to];
        let was = path.cuts > 0;
        path.cuts = if on { path.cuts + 1 } else { path.cuts.saturating_sub(1) };
        if was != (path.cuts > 0) {
            path.since = now;
        }
    }

    pub(crate) const fn stations(&self) -> usize {
        self.stations
    }

    /// When a packet sent now arrives: not at all, once or twice.
    pub(crate) fn send(
        &mut self,
        from: usize,
        to: usize,
        now: Instant,
        prng: &mut Prng,
    ) -> [Option<Instant>; 2] {
        if !self.is_up(from, to) || (self.loss > 0 && prng.below(PER_MILLE) < self.loss) {
            return [None; 2];
        }
        let twice = self.duplicates > 0 && prng.below(PER_MILLE) < self.duplicates;
        let first = self.arrival(from, to, now, prng);
        [Some(first), twice.then(|| self.arrival(from, to, now, prng))]
    }

    fn arrival(&mut self, from: usize, to: usize, now: Instant, prng: &mut Prng) -> Instant {
        let jitter = u64::try_from(self.jitter.as_nanos()).unwrap_or(0);
        let at = now + self.delay + Duration::from_nanos(prng.below(jitter + 1));
        let path = &mut self.paths[from * self.stations + to];
        if self.reorder {
            return at;
        }
        // First in, first out; never two at once, so that their order is plain.
        path.last = at.max(path.last + Duration::from_nanos(1));
        path.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(change: impl FnOnce(&mut Options)) -> Network {
        let mut options = Options::draw(1);
        (options.routers, options.clients, options.loss, options.duplicates) = (2, 1, 0, 0);
        (options.delay, options.jitter) = (Duration::from_millis(1), Duration::from_millis(4));
        options.reorder = false;
        change(&mut options);
        Network::new(&options)
    }

    #[test]
    fn packets_keep_their_order_unless_told_otherwise() {
        let mut prng = Prng::new(1);
        let mut arrivals = |mut network: Network| -> Vec<Instant> {
            let sent = (0..50).map(Instant::from_millis);
            sent.filter_map(|now| network.send(0, 1, now, &mut prng)[0]).collect()
        };
        assert!(arrivals(network(|_| {})).is_sorted());
        assert!(!arrivals(network(|options| options.reorder = true)).is_sorted());
    }

    #[test]
    fn a_cut_has_a_direction_and_can_be_there_twice() {
        let mut network = network(|_| {});
        let mut prng = Prng::new(1);
        let at = Instant::from_millis;
        network.cut(0, 1, true, at(1));
        network.cut(0, 1, true, at(2));
        network.cut(0, 1, false, at(3));
        assert_eq!(network.send(0, 1, at(4), &mut prng), [None, None]);
        assert!(network.send(1, 0, at(4), &mut prng)[0].is_some());
        assert_eq!(network.since(0, 1), at(1));
        network.cut(0, 1, false, at(5));
        assert_eq!(network.both_ways_since(0, 1), Some(at(5)));
    }

    #[test]
    fn loss_and_duplicates_come_as_often_as_told() {
        let mut prng = Prng::new(1);
        let mut network = network(|options| (options.loss, options.duplicates) = (250, 500));
        let (mut lost, mut twice) = (0, 0);
        for n in 0..4_000 {
            match network.send(0, 1, Instant::from_millis(n), &mut prng) {
                [None, _] => lost += 1,
                [Some(_), Some(_)] => twice += 1,
                [Some(_), None] => {}
            }
        }
        assert!((900..1_100).contains(&lost) && (1_350..1_650).contains(&twice), "{lost} {twice}");
    }
}
