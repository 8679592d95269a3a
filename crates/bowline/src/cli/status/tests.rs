use super::*;

#[test]
fn durations_have_two_units_at_most() {
    let spelled = [350, 12_000, 312_000, 11_100_000, 1_047_600_000].map(duration);
    assert_eq!(spelled, ["350ms", "12s", "5m12s", "3h5m", "12d3h"]);
}
