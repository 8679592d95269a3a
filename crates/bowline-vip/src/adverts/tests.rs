use super::*;
use crate::testing::config;
use crate::wiring;
use bowline_sys::netns::Namespace;
use bowline_sys::rtnetlink::Rtnetlink;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::mpsc::sync_channel;

struct Nobody;

impl Serving for Nobody {
    fn ask(&self) {}

    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    fn starves_for(&self) -> Duration {
        Duration::ZERO
    }

    fn evict(&self, _: &[IpAddr]) {}

    fn readmit(&self, _: &[IpAddr]) -> bool {
        true
    }
}

#[test]
fn sockets_for_a_router_that_has_gone_are_closed_by_the_thread_that_may_wait_for_it() {
    let here = match Namespace::create() {
        Ok(here) => here,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            println!("skipped: making a network namespace needs root");
            return;
        }
        Err(error) => panic!("making a namespace: {error}"),
    };
    let config = config(&["10.0.0.9"], "10.0.0.1");
    let wiring = || {
        let open = || {
            let interfaces = Rtnetlink::open().unwrap().interfaces().unwrap();
            wiring::open(interfaces.by_name("lo").unwrap(), &config, None).unwrap()
        };
        Box::new(here.inside(open).unwrap())
    };
    let (shared, retired) = Shared::new().unwrap();
    let shared = Arc::new(shared);
    let (said, _heard) = sync_channel(1);
    let mut adverts = Adverts::new(Arc::clone(&shared), Arc::new(Nobody), said).unwrap();
    let reconfigure =
        ToAdverts::Reconfigure { id: 1, config: Box::new(config.clone()), alias: None, wiring: wiring() };
    for mail in [reconfigure, ToAdverts::Rewire { id: 2, wiring: wiring() }] {
        shared.tell_adverts(mail);
        let now = now();
        adverts.go_round(now, now);
        assert_eq!(retired.try_iter().count(), 1);
    }
}
