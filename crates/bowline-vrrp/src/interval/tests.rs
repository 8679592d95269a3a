use super::*;

#[test]
fn version_2_takes_whole_seconds_alone() {
    let seconds = |millis| Seconds::try_from(Duration::from_millis(millis)).map(Seconds::get);
    assert_eq!(seconds(1_000), Ok(1));
    assert_eq!(seconds(255_000), Ok(255));
    for millis in [0, 1, 999, 1_500, 256_000, u64::MAX] {
        assert!(seconds(millis).is_err(), "{millis}");
    }
    assert_eq!(Seconds::new(0), None);
    assert_eq!(Seconds::DEFAULT.duration(), Duration::from_secs(1));
}

#[test]
fn version_3_takes_hundredths_that_fit_12_bits() {
    let centiseconds = |millis| Centiseconds::try_from(Duration::from_millis(millis)).map(Centiseconds::get);
    assert_eq!(centiseconds(10), Ok(1));
    assert_eq!(centiseconds(100), Ok(10));
    assert_eq!(centiseconds(40_950), Ok(4_095));
    for millis in [0, 1, 9, 15, 40_951, 40_960, u64::MAX] {
        assert!(centiseconds(millis).is_err(), "{millis}");
    }
    assert_eq!((Centiseconds::new(0), Centiseconds::new(4_096)), (None, None));
    assert_eq!(Centiseconds::DEFAULT.duration(), Duration::from_secs(1));
    assert_eq!(Centiseconds::new(1).unwrap().duration(), Duration::from_millis(10));
}

#[test]
fn an_error_says_what_would_do() {
    let error = Centiseconds::try_from(Duration::from_millis(15)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "version 3 needs an interval from 10ms to 40.95s in steps of 10ms, not 15ms"
    );
}
