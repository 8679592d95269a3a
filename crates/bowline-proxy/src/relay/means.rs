//! What a worker lends to the connection whose bytes it moves, and how much all of them together may keep.

use std::io;

/// Full reads after each other that make a direction bulky: below it a read and a write cost less than two splices do.
const FULL_READS: u8 = 2;

/// Pipes that wait for the next bulky direction. One that is not stuck gives its pipe back before another one runs, so that the
/// same pipe serves all of them; the rest is for those that are stuck by turns.
const IDLE_MAX: usize = 8;

/// Requests that go without a pipe after the kernel has refused one: asking costs three calls, and what ran out (pages of this
/// user's pipes, descriptors) comes back in its own time.
const REFUSED_FOR: u32 = 1_000;

/// One set for each worker.
#[derive(Debug)]
pub(crate) struct Means<P> {
    /// All bytes that are copied go through it.
    pub(super) buffer: Box<[u8]>,
    pub(super) pipes: Pipes<P>,
    unsent: usize,
    unsent_max: usize,
    /// Directions that are or were bulky.
    pub(super) bulky: usize,
}

impl<P> Means<P> {
    /// Nothing is kept yet; at most `unsent_max` bytes will be, for all connections together.
    pub(crate) fn new(buffer: usize, pipes: Pipes<P>, unsent_max: usize) -> Self {
        Self { buffer: vec![0; buffer].into(), pipes, unsent: 0, unsent_max, bulky: 0 }
    }

    /// Bytes that connections keep now.
    pub(crate) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// Descriptors are short: closes the pipes that nobody uses, and makes none for a while. Whether there were any.
    pub(crate) fn spare_descriptors(&mut self) -> bool {
        self.pipes.refused_for = REFUSED_FOR;
        let spared = !self.pipes.idle.is_empty();
        self.pipes.idle.clear();
        spared
    }

    /// Pipes in use and idle.
    pub(crate) fn pipes(&self) -> usize {
        self.pipes.lent + self.pipes.idle.len()
    }

    /// What one connection keeps has changed.
    pub(super) fn settle(&mut self, before: usize, after: usize) {
        debug_assert!(before <= self.unsent, "more is given back than was kept");
        self.unsent = self.unsent - before + after;
    }

    /// Bytes that may be kept beyond those that are.
    pub(crate) const fn room(&self) -> usize {
        self.unsent_max.saturating_sub(self.unsent)
    }

    /// One more direction is bulky; whether there was one before.
    pub(super) const fn another_is_bulky(&mut self) -> bool {
        self.bulky += 1;
        self.bulky > 1
    }

    /// Whether there is more than one of them.
    pub(crate) const fn are_several_bulky(&self) -> bool {
        self.bulky > 1
    }

    /// A direction that was bulky has ended.
    pub(super) const fn one_bulky_less(&mut self) {
        self.bulky -= 1;
    }

    /// Bytes in one call below which copying is cheaper than splicing: 16 KiB of a buffer of 64.
    pub(super) const fn thin(&self) -> usize {
        self.buffer.len() / 4
    }

    /// Whether so many full reads in a row make a direction bulky.
    pub(super) const fn is_bulky(full_reads: u8) -> bool {
        full_reads >= FULL_READS
    }
}

/// Pipes, made when they are needed and used again.
#[derive(Debug)]
pub(crate) struct Pipes<P> {
    idle: Vec<P>,
    pub(super) lent: usize,
    most: usize,
    size: usize,
    make: fn(usize) -> io::Result<P>,
    refused_for: u32,
}

impl<P> Pipes<P> {
    /// At most `most` at a time, of `size` bytes each.
    pub(crate) const fn new(most: usize, size: usize, make: fn(usize) -> io::Result<P>) -> Self {
        Self { idle: Vec::new(), lent: 0, most, size, make, refused_for: 0 }
    }

    /// What one holds.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// An empty one, or `None` when there is none to be had.
    pub(super) fn borrow(&mut self) -> Option<P> {
        let pipe = match self.idle.pop() {
            Some(pipe) => pipe,
            None if self.lent >= self.most => return None,
            None => self.make()?,
        };
        self.lent += 1;
        Some(pipe)
    }

    fn make(&mut self) -> Option<P> {
        if self.refused_for > 0 {
            self.refused_for -= 1;
            return None;
        }
        let made = (self.make)(self.size);
        if made.is_err() {
            self.refused_for = REFUSED_FOR;
        }
        made.ok()
    }

    /// Takes an empty one back.
    pub(super) fn give_back(&mut self, pipe: P) {
        self.lent -= 1;
        if self.idle.len() < IDLE_MAX {
            self.idle.push(pipe);
        }
    }

    /// Takes one back that holds bytes nobody wants any more.
    pub(super) fn close(&mut self, pipe: P) {
        self.lent -= 1;
        drop(pipe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_used_again_and_never_more_than_allowed() {
        let mut pipes = Pipes::new(2, 100, Ok);
        let (a, b) = (pipes.borrow().unwrap(), pipes.borrow().unwrap());
        assert_eq!((a, b), (100, 100));
        assert_eq!(pipes.borrow(), None);
        pipes.give_back(a);
        assert_eq!((pipes.idle.len(), pipes.lent), (1, 1));
        assert_eq!(pipes.borrow(), Some(100));
        pipes.close(b);
        assert_eq!((pipes.idle.len(), pipes.lent), (0, 1));
    }

    #[test]
    fn few_are_kept_idle() {
        let mut pipes = Pipes::new(100, 1, Ok);
        let lent: Vec<_> = std::iter::from_fn(|| pipes.borrow()).collect();
        assert_eq!(lent.len(), 100);
        lent.into_iter().for_each(|pipe| pipes.give_back(pipe));
        assert_eq!((pipes.idle.len(), pipes.lent), (IDLE_MAX, 0));
    }

    #[test]
    fn a_kernel_that_refuses_is_not_asked_at_once_again() {
        let mut pipes: Pipes<()> = Pipes::new(1, 1, |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(pipes.borrow(), None);
        pipes.make = |_| Ok(());
        for _ in 0..REFUSED_FOR {
            assert_eq!(pipes.borrow(), None);
        }
        assert_eq!(pipes.borrow(), Some(()));
    }
}
