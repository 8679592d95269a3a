//! For how long nobody was served lately.
//!
//! A worker that hangs is silent without an end. One that is starved answers now and then, and is of as little use: what counts is
//! how much of the last second was silence.

use bowline_sansio::Instant;
use std::time::Duration;

/// What is looked back on, in pieces that are forgotten one after the other.
const PIECES: usize = 10;
const PIECE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Silence {
    /// Shorter ones are no loss to anybody.
    short: Duration,
    /// Of a longer one only so much counts.
    long: Duration,
    /// Of each piece, by its number modulo how many there are.
    pieces: [Duration; PIECES],
    /// The number of the latest.
    latest: u64,
    looked: Option<Instant>,
}

impl Silence {
    /// Of each silence what lasts longer than `short` counts, and nothing from `long` on.
    pub(crate) const fn between(short: Duration, long: Duration) -> Self {
        Self { short, long, pieces: [Duration::ZERO; PIECES], latest: 0, looked: None }
    }

    /// Nobody has been served for `silent` at `now`. What counts of it is counted from the last look on.
    pub(crate) fn look(&mut self, silent: Duration, now: Instant) {
        let number = now.as_nanos() / PIECE.as_nanos() as u64;
        for passed in (self.latest + 1..=number).rev().take(PIECES) {
            self.piece(passed, |piece| *piece = Duration::ZERO);
        }
        self.latest = self.latest.max(number);
        let unseen = now.since(self.looked.unwrap_or(now));
        let seen = silent.saturating_sub(unseen);
        let more = silent.min(self.long).saturating_sub(seen.max(self.short));
        self.piece(number, |piece| *piece += more);
        self.looked = Some(now);
    }

    /// So much of it nobody saw, and it counts like what was seen: to be said after a look.
    pub(crate) fn add(&mut self, silent: Duration) {
        self.piece(self.latest, |piece| *piece += silent);
    }

    /// Of about the last second.
    pub(crate) fn lately(&self) -> Duration {
        self.pieces.iter().sum()
    }

    fn piece(&mut self, number: u64, change: impl FnOnce(&mut Duration)) {
        let place = usize::try_from(number % PIECES as u64).unwrap_or_default();
        if let Some(piece) = self.pieces.get_mut(place) {
            change(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Looks every 10 ms while nobody answers but at these moments; what was silent lately at the end.
    fn looks(silence: &mut Silence, answers: &[u64], until: u64) -> Duration {
        let answered = |now| answers.iter().copied().filter(|at| *at <= now).max();
        for now in (0..=until / 10).map(|look| look * 10) {
            let Some(answered) = answered(now) else { continue };
            silence.look(ms(now - answered), Instant::from_millis(now));
        }
        silence.lately()
    }

    #[test]
    fn one_that_lasts_counts_from_when_it_is_long() {
        let mut silence = Silence::between(ms(200), Duration::MAX);
        assert_eq!(looks(&mut silence, &[5_000], 5_200), Duration::ZERO);
        assert_eq!(looks(&mut silence, &[5_000], 5_500), ms(300));
    }

    #[test]
    fn answers_now_and_then_do_not_make_it_small() {
        let answers: Vec<u64> = (1..20).map(|answer| answer * 400).collect();
        let lately = looks(&mut Silence::between(ms(200), Duration::MAX), &answers, 8_000);
        // Half of it is long, but for the last moments of each that nobody saw.
        assert!((ms(440)..=ms(500)).contains(&lately), "{lately:?}");
    }

    #[test]
    fn a_long_one_counts_once() {
        let between = || Silence::between(ms(200), ms(300));
        assert_eq!(looks(&mut between(), &[5_000], 5_250), ms(50));
        let mut silence = between();
        assert_eq!(looks(&mut silence, &[5_000], 5_900), ms(100));
        silence.add(ms(20));
        assert_eq!(silence.lately(), ms(120));
    }

    #[test]
    fn short_ones_count_for_nothing_however_many() {
        let answers: Vec<u64> = (1..100).map(|answer| answer * 190).collect();
        assert_eq!(looks(&mut Silence::between(ms(200), Duration::MAX), &answers, 9_000), Duration::ZERO);
    }

    #[test]
    fn it_is_forgotten_after_a_second() {
        let mut silence = Silence::between(ms(200), Duration::MAX);
        let mut answers = vec![1_000, 1_500];
        answers.extend((16..40).map(|answer| answer * 100));
        assert_eq!(looks(&mut silence, &answers, 1_800), ms(290));
        let mut silence = Silence::between(ms(200), Duration::MAX);
        assert_eq!(looks(&mut silence, &answers, 2_600), Duration::ZERO);
        // And after any time without a look, of which it is not said that it was silent.
        silence.look(ms(500), Instant::from_millis(2_700));
        assert!(silence.lately() > Duration::ZERO);
        silence.look(ms(50), Instant::from_millis(90_000));
        assert_eq!(silence.lately(), Duration::ZERO);
    }
}
