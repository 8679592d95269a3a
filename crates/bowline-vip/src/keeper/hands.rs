//! What the keeper works with.

use crate::event::{Event, Serving};
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
}

impl Hands {
    /// Ends connections of whoever has them; `between` is called after each step of it.
    pub(super) fn end(&self, router: &Arc<str>, side: Side, addresses: &[IpAddr], mut between: impl FnMut()) {
        between();
        let Some(sock_diag) = &self.sock_diag else { return };
        match sock_diag.end_all(&Filter { side, addresses, port: None }, between) {
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
