//! Connections by number.

/// Where an entry is, and which of the many that were there it is: events for an entry that has gone find nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    slot: u32,
    generation: u16,
}

impl Key {
    /// 14 bits, so that a key fits a [`crate::token::Token`]. A stale key lives no longer than one batch of events, in which a
    /// slot cannot be reused that often.
    pub(crate) const GENERATION_MAX: u16 = (1 << 14) - 1;

    pub(crate) const fn new(slot: u32, generation: u16) -> Self {
        Self { slot, generation: generation & Self::GENERATION_MAX }
    }

    pub(crate) const fn slot(self) -> u32 {
        self.slot
    }

    pub(crate) const fn generation(self) -> u16 {
        self.generation
    }

    const fn index(self) -> usize {
        self.slot as usize
    }
}

/// Entries in slots that are used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u16,
    entry: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, entry: T) -> Key {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            place.generation = place.generation.wrapping_add(1) & Key::GENERATION_MAX;
            place.entry = Some(entry);
            return Key::new(slot, place.generation);
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer connections than 2^32 descriptors");
        self.slots.push(Slot { generation: 0, entry: Some(entry) });
        Key::new(slot, 0)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.slots.get_mut(key.index()).filter(|place| place.generation == key.generation)?;
        place.entry.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.slots.get_mut(key.index()).filter(|place| place.generation == key.generation)?;
        let entry = place.entry.take()?;
        self.free.push(key.slot);
        Some(entry)
    }

    /// The entries with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..).zip(&self.slots).filter_map(|(slot, place)| {
            place.entry.as_ref().map(|entry| (Key::new(slot, place.generation), entry))
        })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The keys of all entries, in the order of their slots.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let places = self.slots.iter().enumerate().filter(|(_, place)| place.entry.is_some());
        places.map(|(slot, place)| Key::new(slot as u32, place.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        let c = slab.insert('c');
        assert_eq!(c.slot(), a.slot(), "slots are used again");
        assert!(slab.get_mut(a).is_none() && slab.remove(a).is_none());
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.get_mut(c), Some(&mut 'c'));
        assert_eq!(slab.keys().collect::<Vec<_>>(), [c, b]);
    }
}
