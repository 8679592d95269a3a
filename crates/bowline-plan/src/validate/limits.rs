//! What clients may have.

use core::num::NonZeroU32;
use core::time::Duration;

use super::{Checker, text};
use crate::cluster::Limits;
use crate::description as raw;
use crate::source::Path;

/// A tenth of all connections: what one address can have behind it, a whole office or every pod of a node, and not all there is.
const CONNECTIONS_PER_CLIENT: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
/// What a core can let in is some times as much, so that one client cannot keep the others out.
const NEW_CONNECTIONS_PER_CLIENT: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// Clients of an API server speak first and at once, and a kube-apiserver closes those that do not after 32 s: this ends what
/// the server has forgotten.
const FIRST_BYTE: Duration = Duration::from_secs(60);
const FIRST_BYTE_BOUNDS: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3600));
/// What sixty-four clients that do not read can leave in pipes, or a thousand in buffers.
const UNSENT_MIB: NonZeroU32 = NonZeroU32::new(64).unwrap();

impl Checker<'_, '_> {
    pub(super) fn limits(&mut self, at: &Path, given: raw::Limits) -> Limits {
        let first_byte = given.first_byte.as_ref();
        let first_byte = self.duration(&at.key("firstByte"), first_byte, FIRST_BYTE, FIRST_BYTE_BOUNDS);
        let number = |given: Option<u32>, default| given.and_then(NonZeroU32::new).unwrap_or(default);
        Limits {
            clients: self.list(&at.key("clients"), &given.clients, text::cidr),
            connections_per_client: number(given.connections_per_client, CONNECTIONS_PER_CLIENT),
            new_connections_per_client: number(given.new_connections_per_client, NEW_CONNECTIONS_PER_CLIENT),
            first_byte: Some(first_byte).filter(|first_byte| !first_byte.is_zero()),
            unsent_mib: number(given.unsent_mib, UNSENT_MIB),
        }
    }
}
