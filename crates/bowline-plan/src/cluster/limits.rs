//! What clients may have.

use core::num::NonZeroU32;
use core::time::Duration;

use super::Cidr;

/// What clients may have, each for itself and all together. A client is an address, or an IPv6 network of 64 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Ranges whose clients are served beside this machine's own; none is everybody.
    pub clients: Vec<Cidr>,
    /// At a time; this machine's own are not counted.
    pub connections_per_client: NonZeroU32,
    /// Per second, lastingly; this machine's own are not counted.
    pub new_connections_per_client: NonZeroU32,
    /// How long a connection lasts on which nobody says anything; `None` is for ever.
    pub first_byte: Option<Duration>,
    /// Bytes kept for peers that do not take them, in MiB and for each thread.
    pub unsent_mib: NonZeroU32,
}
