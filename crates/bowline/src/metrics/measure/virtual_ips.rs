//! What a scrape reads from the virtual routers.

use super::{Show, flag};
use crate::metrics::Value;
use crate::metrics::table::{
    ADVERTS_DISCARDED, ADVERTS_FAILED, ADVERTS_RECEIVED, ADVERTS_SENT, ADVERTS_WITHHELD, ANNOUNCEMENTS,
    DUPLICATE_HOLDERS, LEASE_RENEWAL_MAX, LEASE_RENEWAL_SECONDS, LEASE_RENEWALS, LEASE_RENEWALS_FAILED,
    LEASES_LOST, VIRTUAL_IP_CAN_SERVE, VIRTUAL_IP_ENDS_CONNECTIONS, VIRTUAL_IP_HELD, VIRTUAL_IP_PRIORITY,
    VIRTUAL_IP_STALLS, VIRTUAL_IP_STATE, VIRTUAL_IP_TRANSITIONS,
};
use crate::view::VirtualIpView;
use bowline_vrrp::State;

pub(super) fn measure(view: &VirtualIpView, show: Show<'_>) {
    let VirtualIpView { holder: _, interface: _, status, tally } = view;
    let vrrp = &status.vrrp;
    let name = || vec![status.name.to_string()];
    let with = |last: &str| vec![status.name.to_string(), last.to_owned()];
    for state in State::ALL {
        show(VIRTUAL_IP_STATE, with(state.as_str()), flag(vrrp.state == state));
    }
    for address in &status.addresses {
        show(VIRTUAL_IP_HELD, with(&address.to_string()), flag(vrrp.held));
    }
    show(VIRTUAL_IP_PRIORITY, name(), Value::Whole(vrrp.priority.into()));
    show(VIRTUAL_IP_CAN_SERVE, name(), flag(vrrp.can_serve));
    show(VIRTUAL_IP_ENDS_CONNECTIONS, name(), flag(status.ends_connections));
    for (state, count) in &tally.transitions {
        show(VIRTUAL_IP_TRANSITIONS, with(state.as_str()), Value::Whole(*count));
    }
    for (reason, count) in &tally.discarded {
        show(ADVERTS_DISCARDED, with(reason.as_str()), Value::Whole(*count));
    }
    for (definition, count) in [
        (ADVERTS_SENT, tally.adverts_sent),
        (ADVERTS_WITHHELD, tally.adverts_withheld),
        (ADVERTS_FAILED, tally.send_failures),
        (ADVERTS_RECEIVED, tally.adverts_received),
        (ANNOUNCEMENTS, tally.announcements),
        (LEASE_RENEWALS, tally.renewals),
        (LEASE_RENEWALS_FAILED, tally.renewals_failed),
        (LEASES_LOST, tally.leases_lost),
        (DUPLICATE_HOLDERS, tally.duplicates),
        (VIRTUAL_IP_STALLS, tally.stalls),
    ] {
        show(definition, name(), Value::Whole(count));
    }
    show(LEASE_RENEWAL_SECONDS, name(), Value::Real(tally.renewal_time.as_secs_f64()));
    show(LEASE_RENEWAL_MAX, name(), Value::Real(tally.renewal_longest.as_secs_f64()));
}
