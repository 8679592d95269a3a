//! Moving a client whose endpoint says nothing to another one.

use super::Worker;
use super::connection::{Held, Phase};
use crate::first_flight::FIRST_FLIGHT_MAX;
use crate::slab::Key;
use crate::stats::Moment;
use bowline_pool::{Departure, Dial};
use bowline_sys::tcp;

/// How often one client is moved: past two endpoints that say nothing of the usual three. A bound, because where every
/// endpoint is merely slow each move asks one more of them for a handshake.
const REDIALS_MAX: u8 = 2;

impl Worker {
    /// Dials another endpoint for a client that got no answer and does not know yet: its first bytes can be sent twice, and
    /// there is an endpoint that takes new connections, and room to keep them until they are sent. Whether it was so.
    pub(super) fn redial(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let Phase::Open(open) = &connection.phase else { return false };
        let (pool, from) = (connection.pool, Departure { endpoint: open.endpoint, attempts: open.attempts });
        if connection.redials >= REDIALS_MAX
            || !connection.duplex.is_repeatable()
            || self.means.room() < FIRST_FLIGHT_MAX
            || !self.pools.has_other(pool, from.endpoint)
        {
            return false;
        }
        let Some((snapshot, ticket)) = self.pools.admit(pool, self.prng.next_u64()) else { return false };
        let dial = Dial::again(snapshot, ticket, from, self.now);
        let held = Phase::Held(Box::new(Held { dial, attempts: Vec::new() }));
        if let Phase::Open(silent) = std::mem::replace(&mut connection.phase, held) {
            tcp::reset(silent.socket);
        }
        connection.redials += 1;
        connection.duplex.start_over(&mut self.means);
        connection.origin.counters.count(Moment::Redialled);
        self.drive(key);
        true
    }

    /// The client stays where it is, and learns that its endpoint has ended.
    pub(super) fn pass_on_end(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.duplex.stay();
            self.serve(key);
        }
    }
}
