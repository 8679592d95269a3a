use super::*;
use crate::events::{DaemonEvent, ProbeOutcome};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn view() -> View {
    View {
        now: bowline_sansio::Instant::ORIGIN,
        virtual_ips: Vec::new(),
        node: "worker1".into(),
        generation: 3,
        uptime: Duration::from_millis(1_500),
        draining: false,
        established: Duration::from_secs(30),
        reload_refused: None,
        listeners: Vec::new(),
        pools: Vec::new(),
        stats: bowline_proxy::Stats::default(),
    }
}

fn probed(endpoint: String) -> Event {
    let (pool, endpoint) = (Arc::from("api-servers"), Arc::from(endpoint));
    Event::Daemon(DaemonEvent::Probed { pool, endpoint, outcome: ProbeOutcome::Refused })
}

#[test]
fn names_are_unique_and_as_prometheus_wants_them() {
    let names: BTreeSet<_> = ALL.iter().map(|definition| definition.name).collect();
    assert_eq!(names.len(), ALL.len());
    for definition in ALL {
        let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(
            is_word(definition.name) && definition.labels.iter().all(|label| is_word(label)),
            "{definition:?}"
        );
        assert!(!definition.name.ends_with("_total"), "{definition:?}: the encoder adds it");
        assert!(
            !definition.help.contains(['\n', '|', '\\', '"']),
            "{definition:?}: stands in a table and in a line"
        );
    }
}

#[test]
fn the_page_has_every_metric() {
    let page = markdown();
    for definition in ALL {
        assert!(page.contains(&format!("| `{}` |", definition.full_name())), "{definition:?}");
    }
}

#[test]
fn events_are_counted_under_their_labels() {
    let metrics = Metrics::default();
    metrics.count(&probed("cp1".into()));
    metrics.count(&probed("cp1".into()));
    metrics.count(&Event::Daemon(DaemonEvent::ReloadRefused { problems: vec!["a".into(), "b".into()] }));
    let text = metrics.encode(&view());
    for line in [
        "bowline_probes_total{pool=\"api-servers\",endpoint=\"cp1\",outcome=\"refused\"} 2",
        "bowline_reloads_total{result=\"refused\"} 1",
        "bowline_reloads_total{result=\"applied\"} 0",
        "bowline_plan_generation 3",
        "bowline_uptime_seconds 1.5",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn endpoints_that_come_and_go_for_ever_do_not_fill_memory() {
    let metrics = Metrics::default();
    for number in 0..=LABEL_SETS_MAX {
        metrics.count(&probed(format!("cp{number}")));
    }
    metrics.count(&probed("cp1".into()));
    let text = metrics.encode(&view());
    let last = "bowline_probes_total{pool=\"\",endpoint=\"\",outcome=\"\"} 1";
    assert!(text.lines().any(|line| line == last), "those beyond the limit are counted together");
    let known = "bowline_probes_total{pool=\"api-servers\",endpoint=\"cp1\",outcome=\"refused\"} 2";
    assert!(text.lines().any(|line| line == known), "those below it go on being told apart");
}
