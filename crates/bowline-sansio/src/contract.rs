//! The contract as a trait, and a wrapper that asserts it.

use crate::Instant;

/// What every machine offers its shell; the crate's documentation has the rules.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it wants done.
    type Output;

    /// Takes one input at `now`, which is never earlier than in any call before.
    fn handle(&mut self, input: Self::Input, now: Instant);

    /// The next thing to do, `None` when nothing is left; to be drained after every `handle`.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When the machine wants its timeout input, if at all; may change with every `handle`.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// A machine between assertions: time never goes back, outputs end, and a handled timeout moves the next one ahead.
///
/// For tests and simulators: it panics where the contract is broken.
#[derive(Debug)]
pub struct Checked<M> {
    machine: M,
    last: Instant,
    outputs_max: usize,
}

impl<M: Machine> Checked<M> {
    /// Wraps `machine`; more than `outputs_max` outputs after one input count as a loop without end.
    pub const fn new(machine: M, outputs_max: usize) -> Self {
        Self { machine, last: Instant::ORIGIN, outputs_max }
    }

    /// Handles `input` and returns every output it led to.
    pub fn step(&mut self, input: M::Input, now: Instant) -> Vec<M::Output> {
        assert!(now >= self.last, "time went back from {:?} to {now:?}", self.last);
        self.last = now;
        self.machine.handle(input, now);
        let mut outputs = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            outputs.push(output);
            assert!(
                outputs.len() <= self.outputs_max,
                "more than {} outputs after one input",
                self.outputs_max
            );
        }
        outputs
    }

    /// Handles the machine's own timeout at the moment it asked for, if it asked; asserts rule 4.
    pub fn step_timeout(&mut self, timeout: M::Input) -> Option<(Instant, Vec<M::Output>)> {
        let due = self.machine.poll_timeout()?.max(self.last);
        let outputs = self.step(timeout, due);
        let next = self.machine.poll_timeout();
        assert!(next.is_none_or(|next| next > due), "the timeout at {due:?} is armed again for {next:?}");
        Some((due, outputs))
    }

    /// The moment of the last input.
    pub const fn now(&self) -> Instant {
        self.last
    }

    /// The machine within.
    pub const fn get(&self) -> &M {
        &self.machine
    }

    /// The machine within, to be changed outside the contract.
    pub const fn get_mut(&mut self) -> &mut M {
        &mut self.machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    /// Ticks every 10 ms; with `stuck` it forgets to move its timer ahead.
    struct Ticker {
        next: Instant,
        stuck: bool,
        ticks: u32,
    }

    impl Machine for Ticker {
        type Input = ();
        type Output = u32;

        fn handle(&mut self, (): (), now: Instant) {
            if now >= self.next && !self.stuck {
                self.next = now + Duration::from_millis(10);
                self.ticks += 1;
            }
        }

        fn poll_output(&mut self) -> Option<u32> {
            (self.ticks > 0).then(|| core::mem::take(&mut self.ticks))
        }

        fn poll_timeout(&self) -> Option<Instant> {
            Some(self.next)
        }
    }

    fn ticker(stuck: bool) -> Checked<Ticker> {
        Checked::new(Ticker { next: Instant::from_millis(10), stuck, ticks: 0 }, 4)
    }

    #[test]
    fn a_good_machine_passes() {
        let mut checked = ticker(false);
        assert_eq!(checked.step_timeout(()), Some((Instant::from_millis(10), vec![1])));
        assert_eq!(checked.step((), Instant::from_millis(15)), vec![]);
        assert_eq!(checked.step_timeout(()), Some((Instant::from_millis(20), vec![1])));
    }

    #[test]
    #[should_panic(expected = "is armed again")]
    fn a_timer_that_stays_armed_is_caught() {
        ticker(true).step_timeout(());
    }

    #[test]
    #[should_panic(expected = "time went back")]
    fn time_that_goes_back_is_caught() {
        let mut checked = ticker(false);
        checked.step((), Instant::from_millis(5));
        checked.step((), Instant::from_millis(4));
    }
}
