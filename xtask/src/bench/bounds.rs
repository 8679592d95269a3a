//! What bowline must reach, and whether it did.

use std::fmt;

use super::measure::{Better, Measure, Round, Spread};
use super::proxies::Variant;

/// A figure this near to its bound counts as met if three runs agree.
const NEAR: f64 = 0.03;

/// One promise: bowline's value, divided by another's of the same round where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) measure: Measure,
    against: Option<Variant>,
    bound: f64,
}

/// A value is to be at least the bound where more is better, at most where less is.
pub(super) const BOUNDS: [Bound; 9] = [
    Bound::against(Measure::Connections, Variant::HaProxy, 1.08),
    Bound::against(Measure::TlsConnections, Variant::HaProxy, 1.0),
    Bound::against(Measure::TlsConnectionCpu, Variant::HaProxy, 0.85),
    Bound::against(Measure::AnswerP50, Variant::HaProxy, 0.92),
    Bound::against(Measure::Bulk, Variant::HaProxy, 2.5),
    Bound::against(Measure::Bulk, Variant::HaProxySplice, 1.1),
    Bound::against(Measure::BulkCpu, Variant::HaProxy, 0.15),
    Bound::against(Measure::BulkMany, Variant::HaProxy, 2.2),
    Bound { measure: Measure::Memory, against: None, bound: 4.0 },
];

/// How a promise came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    /// Met if three runs agree.
    Near,
    Missed,
    /// What it is compared with is not installed.
    Unknown,
}

/// A promise with its outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) bound: Bound,
    pub(super) found: Option<Spread>,
    pub(super) verdict: Verdict,
}

impl Bound {
    const fn against(measure: Measure, variant: Variant, bound: f64) -> Bound {
        Bound { measure, against: Some(variant), bound }
    }

    pub(super) fn judge(self, rounds: &[Round]) -> Judged {
        let found = Spread::of(rounds.iter().filter_map(|round| match self.against {
            Some(other) => round.ratio(self.measure, Variant::Bowline, other),
            None => round.value(self.measure, Variant::Bowline),
        }));
        let verdict = match found {
            Some(found) => self.verdict(found.median),
            None => Verdict::Unknown,
        };
        Judged { bound: self, found, verdict }
    }

    fn verdict(self, found: f64) -> Verdict {
        let (met, near) = match self.measure.better() {
            Better::More => (found >= self.bound, found >= self.bound * (1.0 - NEAR)),
            Better::Less => (found <= self.bound, found <= self.bound * (1.0 + NEAR)),
        };
        match (met, near) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::Near,
            (false, false) => Verdict::Missed,
        }
    }
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Near => "near (met if three runs agree)",
            Verdict::Missed => "missed",
            Verdict::Unknown => "unknown (nothing to compare with)",
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.verdict.word(), self.bound.measure.title())?;
        if let Some(found) = self.found {
            write!(to, ": {:.3}", found.median)?;
        }
        if let Some(other) = self.bound.against {
            write!(to, " x {}", other.name())?;
        }
        let side = match self.bound.measure.better() {
            Better::More => "at least",
            Better::Less => "at most",
        };
        write!(to, ", bound: {side} {}", self.bound.bound)
    }
}

#[cfg(test)]
mod tests;
