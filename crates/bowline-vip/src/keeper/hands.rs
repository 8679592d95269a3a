//! What the keeper works with.

use crate::event::{Event, Serving};
use crate::guard::Guard;
use crate::teller::Voice;
use bowline_sys::rtnetlink::Rtnetlink;
use bowline_sys::sock_diag::{Filter, Side, SockDiag};
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) struct Hands {
    pub(crate) rtnetlink: Rtnetlink,
    /// None where the kernel cannot list and end others' connections.
    pub(crate) sock_diag: Option<SockDiag>,
    pub(crate) serving: Arc<dyn Serving>,
    pub(crate) voice: Voice,
    pub(crate) guard: Guard,
}

impl Hands {
    /// Ends what is connected to `addresses` after everybody was evicted: connections of other processes, and of workers that
    /// hang.
    pub(crate) fn end_connections(&self, router: &Arc<str>, addresses: &[IpAddr]) {
        self.end(router, Side::Local, addresses);
    }

    /// Ends connections of this host's own clients to `addresses`, which were elsewhere until now: the former holder cannot
    /// reach them any more, because what comes from an address that is here is not let in.
    pub(crate) fn end_dials(&self, router: &Arc<str>, addresses: &[IpAddr]) {
        self.end(router, Side::Remote, addresses);
    }

    fn end(&self, router: &Arc<str>, side: Side, addresses: &[IpAddr]) {
        let Some(sock_diag) = &self.sock_diag else { return };
        match sock_diag.end_all(&Filter { side, addresses, port: None }) {
            Ok(ended) if ended.ended == 0 => {}
            Ok(ended) => {
                self.voice.event(Event::ConnectionsEnded { router: Arc::clone(router), count: ended.ended });
            }
            Err(error) => {
                let error = error.to_string();
                self.voice.event(Event::ConnectionsStay { router: Arc::clone(router), error });
            }
        }
    }
}
