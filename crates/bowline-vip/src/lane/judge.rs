//! Which packets count for a router, and as what.

use bowline_sys::vrrp_socket::Received;
use bowline_vrrp::{Advert, CAN_SERVE_MIN, Config, Discard, LAST_RESORT, Priority, receive};

/// What `packet` says to a router with `config`; `alias` is what it was, or is going to be, where nodes with that and nodes
/// with this do not understand each other.
pub(super) fn judge(
    config: &Config,
    alias: Option<&Config>,
    packet: &Received<'_>,
) -> Result<Advert, Discard> {
    // What is cut is longer than any advert.
    if packet.is_cut {
        return Err(Discard::TrailingBytes);
    }
    let received = bowline_vrrp::Received {
        source: packet.source,
        destination: packet.destination,
        hop_limit: packet.hop_limit,
        bytes: packet.message,
    };
    receive(config, received).or_else(|why| {
        let heard = alias.and_then(|alias| receive(alias, received).ok());
        heard.map(|heard| as_of_one_that_is_deaf(config, heard)).ok_or(why)
    })
}

/// An advert to the alias, whose sender may not understand ours: whoever does not hear this router cannot give way to it, so
/// that it is this one that does, whatever both prefer. Not to one that cannot serve: there clients are better off with two holders.
fn as_of_one_that_is_deaf(config: &Config, heard: Advert) -> Advert {
    let settings = config.settings();
    let can_serve =
        if settings.bands { heard.priority >= CAN_SERVE_MIN } else { heard.priority > LAST_RESORT };
    if !can_serve || settings.priority == Priority::OWNER {
        return heard;
    }
    Advert { priority: heard.priority.max(settings.priority.get().saturating_add(1)), ..heard }
}
