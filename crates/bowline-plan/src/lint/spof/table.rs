//! Losses by class, and the rows they make.

use core::time::Duration;

use super::{Lost, Spof};

/// What a failure means for one class of clients.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Loss {
    pub(super) lost: Lost,
    /// `None` is until the failure is repaired.
    pub(super) lasts: Option<Duration>,
}

pub(super) const FOR_GOOD: Loss = Loss { lost: Lost::All, lasts: None };

impl Loss {
    /// Whether it is at least as bad in every way.
    fn covers(self, other: Self) -> bool {
        let lasts = |loss: Self| loss.lasts.unwrap_or(Duration::MAX);
        self.lost <= other.lost && lasts(self) >= lasts(other)
    }
}

/// What a failure means for everybody.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Losses(Vec<(&'static str, Loss)>);

impl Losses {
    /// Adds a loss for each class, unless what is there already covers it.
    pub(super) fn add(&mut self, classes: &[&'static str], loss: Loss) {
        for class in classes {
            let is_own = |other: &(&'static str, Loss)| other.0 == *class;
            if self.0.iter().any(|other| is_own(other) && other.1.covers(loss)) {
                continue;
            }
            self.0.retain(|other| !is_own(other) || !loss.covers(other.1));
            self.0.push((class, loss));
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (class, loss) in other.0 {
            self.add(&[class], loss);
        }
    }

    pub(super) fn map(mut self, change: impl Fn(Loss) -> Loss) -> Self {
        for (_, loss) in &mut self.0 {
            *loss = change(*loss);
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Rows in the order in which failures were added.
#[derive(Default)]
pub(super) struct Table(Vec<Spof>);

impl Table {
    /// A row for all classes with the same loss.
    pub(super) fn add(&mut self, failure: String, losses: Losses) {
        self.add_rows(&failure, losses, false);
    }

    pub(super) fn add_unknown(&mut self, failure: String, losses: Losses) {
        self.add_rows(&failure, losses, true);
    }

    fn add_rows(&mut self, failure: &str, losses: Losses, is_unknown: bool) {
        let first = self.0.len();
        for (class, loss) in losses.0 {
            let seconds = loss.lasts.map(|lasts| lasts.as_secs_f64());
            let mut rows = self.0.iter_mut().skip(first);
            match rows.find(|row| row.lost == loss.lost && row.seconds == seconds) {
                Some(row) => row.clients.push(class),
                None => {
                    let (failure, clients) = (failure.to_owned(), vec![class]);
                    self.0.push(Spof { failure, clients, lost: loss.lost, seconds, is_unknown });
                }
            }
        }
    }

    pub(super) fn into_rows(self) -> Vec<Spof> {
        self.0
    }
}
