//! The same description on a host that has changed.

use super::{among_its_own, metric, possible, state, wait_for};
use bowline_lab::conformance::Variant;
use bowline_lab::lan::{LINK, Lan};

#[test]
fn a_reload_of_the_same_file_follows_an_address_to_another_interface() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject", "second"]).expect("a segment");
    let host = lan.host("subject");
    // The interface is the one whose subnet has the address.
    let description = subject.description(host, &Variant::V3.setup());
    let anywhere = description.replace(&format!(", interface: {LINK}"), "");
    assert_ne!(anywhere, description);
    let daemon = subject.start_with(host, &anywhere, &[]).expect("a daemon");
    let interface = || daemon.virtual_ip("lab").expect("ask for the status")["interface"].clone();
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
    assert_eq!(interface(), LINK);

    let own = host.address();
    host.ip(&format!(
        "link add other type veth peer name far\nlink set other up\nlink set far up\n\
         address delete {own}/24 dev {LINK}\naddress add {own}/24 dev other\n"
    ))
    .expect("move the host's address");
    wait_for("a router without a source", || (state(&daemon) == "fault").then_some(()));
    let refused = || metric(&daemon, "bowline_reloads_total", "refused");
    let before = refused();
    daemon.describe("nonsense").expect("replace the description");
    wait_for("a refusal", || (refused() > before).then_some(()));
    assert_eq!(state(&daemon), "fault");
    daemon.describe(&anywhere).expect("put the description back");
    wait_for("the router on the other interface", || (interface() == "other").then_some(()));
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
}
