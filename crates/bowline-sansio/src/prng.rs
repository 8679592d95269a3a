//! Randomness as a seed.

use core::time::Duration;

/// xoshiro256** (Blackman and Vigna, 2018), seeded through SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Prng {
    state: [u64; 4],
}

/// SplitMix64 (Steele, Lea and Flood, 2014): one step; turns correlated seeds into unrelated ones.
const fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

impl Prng {
    /// A generator whose whole sequence follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        let (s, a) = split_mix(seed);
        let (s, b) = split_mix(s);
        let (s, c) = split_mix(s);
        let (_, d) = split_mix(s);
        Self { state: [a, b, c, d] }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in `0..bound`, evenly; zero when `bound` is zero (Lemire's multiplication, bias below 2^-32 for small bounds).
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// An index into a collection of `len`.
    pub const fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A duration in `[base - spread, base + spread]`, never negative.
    pub fn jitter(&mut self, base: Duration, spread: Duration) -> Duration {
        let width = u64::try_from(spread.as_nanos().saturating_mul(2)).unwrap_or(u64::MAX - 1);
        let offset = Duration::from_nanos(self.below(width.saturating_add(1)));
        base.saturating_add(offset).saturating_sub(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let (mut a, mut b, mut c) = (Prng::new(7), Prng::new(7), Prng::new(8));
        let draw = |prng: &mut Prng| (0..8).map(|_| prng.next_u64()).collect::<Vec<_>>();
        let first = draw(&mut a);
        assert_eq!(first, draw(&mut b));
        assert_ne!(first, draw(&mut c));
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut prng = Prng::new(1);
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[prng.index(3)] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
        assert_eq!(prng.below(0), 0);
    }

    #[test]
    fn jitter_stays_within_its_spread() {
        let mut prng = Prng::new(2);
        for _ in 0..1_000 {
            let drawn = prng.jitter(Duration::from_millis(100), Duration::from_millis(10));
            assert!((90..=110).contains(&drawn.as_millis()), "{drawn:?}");
        }
        assert!(prng.jitter(Duration::ZERO, Duration::from_secs(1)) <= Duration::from_secs(1));
    }
}
