//! What an epoll event belongs to, in 64 bits.

use crate::slab::Key;
use bowline_pool::Attempt;

/// What an event belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// The worker's mailbox has something.
    Mailbox,
    /// A listener, by its number.
    Listener(u32),
    /// The client's side of a connection.
    Client(Key),
    /// The endpoint's side of a connection: the attempt that is being made, or that won.
    Endpoint(Key, AttemptTag),
}

/// An attempt's number cut to 16 bits: told apart are only the few that are in flight at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AttemptTag(u16);

impl From<Attempt> for AttemptTag {
    fn from(attempt: Attempt) -> Self {
        Self((attempt.0 & 0xffff) as u16)
    }
}

/// Layout: bits 62..64 the kind, 48..62 the slot's generation, 32..48 the attempt, 0..32 the slot or listener.
const KIND: u32 = 62;
const GENERATION: u32 = 48;
const ATTEMPT: u32 = 32;

impl Token {
    pub(crate) fn to_bits(self) -> u64 {
        let (kind, key, attempt) = match self {
            Self::Mailbox => (0u64, Key::new(0, 0), 0),
            Self::Listener(number) => (1, Key::new(number, 0), 0),
            Self::Client(key) => (2, key, 0),
            Self::Endpoint(key, AttemptTag(attempt)) => (3, key, attempt),
        };
        kind << KIND
            | u64::from(key.generation()) << GENERATION
            | u64::from(attempt) << ATTEMPT
            | u64::from(key.slot())
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        let slot = (bits & 0xffff_ffff) as u32;
        let key = Key::new(slot, ((bits >> GENERATION) & u64::from(Key::GENERATION_MAX)) as u16);
        match bits >> KIND {
            0 => Self::Mailbox,
            1 => Self::Listener(slot),
            2 => Self::Client(key),
            _ => Self::Endpoint(key, AttemptTag(((bits >> ATTEMPT) & 0xffff) as u16)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let tag = AttemptTag::from(Attempt(0x0001_fffe));
        for key in [Key::new(0, 0), Key::new(u32::MAX, Key::GENERATION_MAX), Key::new(5, 9)] {
            for token in
                [Token::Mailbox, Token::Listener(u32::MAX), Token::Client(key), Token::Endpoint(key, tag)]
            {
                assert_eq!(Token::from_bits(token.to_bits()), token);
            }
        }
    }
}
